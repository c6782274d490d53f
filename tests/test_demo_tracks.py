"""The built-in model on the demo clip: what it says against what is known to be true."""

import json

import pytest

from vidpc.cli.main import main
from vidpc.demo import write_demo

# Measured on the whole clip when the weights were made: see the README. The bounds leave room for another machine's rounding.
LEAST_RECALL, LEAST_PRECISION, LEAST_IDF1 = 0.5, 0.75, 0.45


@pytest.mark.timeout(600)
def test_the_built_in_model_follows_the_figures(tmp_path, capsys):
    write_demo(tmp_path, seconds=4)
    clip, known, tracks, scores = (tmp_path / name for name in ("street.mp4", "street.tracks.txt", "t.txt", "s.json"))
    assert main(["track", str(clip), "--out", str(tracks), "--progress", "none"]) == 0
    assert main(["eval", "track", "--gt", str(known), "--pred", str(tracks), "--ignore-regions", "--out", str(scores)]) == 0
    row = json.loads(scores.read_text())["overall"]
    assert row["recall"] >= LEAST_RECALL
    assert row["precision"] >= LEAST_PRECISION
    assert row["IDF1"] >= LEAST_IDF1
