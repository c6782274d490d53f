import json
from importlib import resources

import jsonschema
import pytest

from vidpc.errors import OutputError, PresetError
from vidpc.outputs.objects import choose_format, open_objects
from vidpc.types import Candidate, ModelInfo, ScanHeader, ScanInfo

FOUND = (Candidate("chair", 0.87654321), Candidate("sofa, red", 0.1))


@pytest.fixture
def header():
    scan = ScanInfo("a.ply", "ply", 500, (), warnings=("odd",))
    return ScanHeader("a.ply", scan, ModelInfo("m", "pct", "0" * 64, "none", ("chair", "sofa, red")), {"votes": 8}, "0.1")


def test_the_document_follows_its_schema_and_says_what_was_found(tmp_path, header):
    with open_objects(str(tmp_path / "a.json"), header=header) as writer:
        writer.write(FOUND, 490)
        writer.finish(["odd", "10 left out"])
    document = json.loads((tmp_path / "a.json").read_text())
    schema = json.loads(resources.files("vidpc.outputs").joinpath("objects.schema.json").read_text())
    jsonschema.validate(document, schema)
    assert document["top"] == [{"label": "chair", "score": 0.8765}, {"label": "sofa, red", "score": 0.1}]
    assert document["scan"] == {"format": "ply", "count": 500, "points": 490}
    assert document["warnings"] == ["odd", "10 left out"]


def test_a_table_has_a_row_a_class(tmp_path, header):
    with open_objects(str(tmp_path / "a.csv"), header=header) as writer:
        writer.write(FOUND, 490)
        writer.finish()
    assert (tmp_path / "a.csv").read_text() == 'source,rank,label,score\na.ply,1,chair,0.8765\na.ply,2,"sofa, red",0.1\n'


def test_what_was_not_finished_leaves_nothing_behind(tmp_path, header):
    with open_objects(str(tmp_path / "a.json"), header=header) as writer:
        writer.write(FOUND, 490)
    with pytest.raises(OutputError, match="nothing was found"), open_objects(str(tmp_path / "b.json"), header=header) as writer:
        writer.finish()
    assert list(tmp_path.iterdir()) == []


def test_formats_follow_the_suffix_the_option_or_the_pipe():
    assert [choose_format("a.CSV"), choose_format("a.txt", "json"), choose_format("-")] == ["csv", "json", "json"]
    with pytest.raises(PresetError, match=r"a\.txt: no format has this suffix"):
        choose_format("a.txt")
    with pytest.raises(PresetError, match="unknown format 'jsn'; did you mean 'json'"):
        choose_format("a.txt", "jsn")
