"""Videos over HTTP, from a server of the test's own."""

import functools
import threading
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from make_media import Clip, write_video

from vidpc.media.read import read_videos
from vidpc.types import Closed, Frame, ReadOptions


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder; what lies under /moved/ is elsewhere now."""

    def do_GET(self) -> None:
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.replace("/moved/", "/"))
            self.end_headers()
        elif self.path.startswith("/to-a-file/"):
            self.send_response(302)
            self.send_header("Location", f"file://{self.directory}/a.mkv")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def frames_of(place: str, **options: object) -> tuple[list[Frame], Closed]:
    items = list(read_videos([place], ReadOptions(timeout_s=5, **options)))
    closed = items[-1]
    assert isinstance(closed, Closed)
    return [item for item in items if isinstance(item, Frame)], closed


@pytest.mark.parametrize("folder", ["", "/moved"])
def test_a_video_over_http_has_the_frames_of_the_file(tmp_path: Path, address: str, folder: str):
    write_video(tmp_path / "a.mkv", Clip(count=9))
    served, closed = frames_of(f"{address}{folder}/a.mkv", allow_url=True)
    local, _ = frames_of(str(tmp_path / "a.mkv"))
    assert closed.error is None
    assert [frame.time_s for frame in served] == [frame.time_s for frame in local]
    assert all((ours.rgb() == theirs.rgb()).all() for ours, theirs in zip(served, local, strict=True))
    assert np.ptp(served[0].rgb()) > 50


def test_a_missing_page_is_named_with_its_status(address: str):
    frames, closed = frames_of(f"{address}/none.mkv", allow_url=True)
    assert not frames
    assert "404" in str(closed.error)


def test_a_server_cannot_lead_to_a_local_file(tmp_path: Path, address: str):
    write_video(tmp_path / "a.mkv", Clip(count=3))
    frames, closed = frames_of(f"{address}/to-a-file/a.mkv", allow_url=True)
    assert not frames
    assert closed.error is not None
