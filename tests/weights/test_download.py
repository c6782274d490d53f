"""Downloads against a server on this machine: whole, broken off, resumed, wrong, forbidden."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vidpc.errors import WeightsError
from vidpc.weights import download
from vidpc.weights.download import Wanted, fetch

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves ``content`` at every path; what else it does is said by the path."""

    def __init__(self):
        self.content, self.etag = CONTENT, '"one"'
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                outer.answer(self)

            def log_message(self, *arguments):
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # a client that had enough

        self.http = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def url(self, path="/w.pth"):
        return f"http://127.0.0.1:{self.http.server_port}{path}"

    def answer(self, handler):
        start, status = 0, 200
        if handler.path == "/missing":
            handler.send_error(404)
            return
        wants = handler.headers.get("Range")
        if wants and handler.headers.get("If-Range") == self.etag and handler.path != "/forgetful":
            start, status = int(wants.removeprefix("bytes=").removesuffix("-")), 206
        body = self.content[start:]
        handler.send_response(status)
        handler.send_header("Content-Type", "text/html" if handler.path == "/page" else "application/octet-stream")
        handler.send_header("ETag", self.etag)
        if handler.path != "/endless":
            handler.send_header("Content-Length", str(len(body)))
        if status == 206:
            shown = 0 if handler.path == "/elsewhere" else start
            handler.send_header("Content-Range", f"bytes {shown}-{len(self.content) - 1}/{len(self.content)}")
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if handler.path == "/breaks" else body)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "w.pth"


def leftovers(target):
    return sorted(path.name for path in target.parent.iterdir() if path != target)


def test_file_is_fetched_hashed_and_named(server, target):
    seen = []
    digest = fetch(
        Wanted([server.url()], SHA256, len(CONTENT)), target, progress=lambda done, total: seen.append((done, total))
    )
    assert digest == SHA256
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert leftovers(target) == ["w.pth.lock"]


def test_wrong_hash_keeps_nothing(server, target):
    with pytest.raises(WeightsError, match=f"sha256 {SHA256}, expected 00"):
        fetch(Wanted([server.url()], "00" * 32), target)
    assert not target.exists()
    assert not target.with_name("w.pth.part").exists()


def test_too_much_is_cut_off(server, target):
    with pytest.raises(WeightsError, match="more than the 1000 bytes"):
        fetch(Wanted([server.url()], None, 1000), target)
    assert target.with_name("w.pth.part").stat().st_size == 0


def test_endless_answer_meets_the_limit(server, target, monkeypatch):
    monkeypatch.setattr(download, "SIZE_LIMIT_BYTES", 5000)
    with pytest.raises(WeightsError, match="more than the 5000 bytes"):
        fetch(Wanted([server.url("/endless")]), target)


def test_broken_download_goes_on_where_it_stopped(server, target):
    with pytest.raises(WeightsError, match=r"run it again|IncompleteRead|more expected"):
        fetch(Wanted([server.url("/breaks")], SHA256), target)
    half = target.with_name("w.pth.part").stat().st_size
    assert half == len(CONTENT) // 2
    server.answer = lambda handler, answer=server.answer: (setattr(handler, "path", "/w.pth"), answer(handler))
    assert fetch(Wanted([server.url("/breaks")], SHA256), target) == SHA256
    assert server.requests[-1][1]["Range"] == f"bytes={half}-"
    assert target.read_bytes() == CONTENT


def test_part_of_another_version_is_thrown_away(server, target):
    with pytest.raises(WeightsError):
        fetch(Wanted([server.url("/breaks")]), target)
    server.content, server.etag = CONTENT[::-1], '"two"'
    server.answer = lambda handler, answer=server.answer: (setattr(handler, "path", "/w.pth"), answer(handler))
    fetch(Wanted([server.url("/breaks")]), target)
    assert target.read_bytes() == CONTENT[::-1]


def test_server_that_cannot_resume_sends_all_again(server, target):
    with pytest.raises(WeightsError):
        fetch(Wanted([server.url("/breaks")]), target)
    server.answer = lambda handler, answer=server.answer: (setattr(handler, "path", "/forgetful"), answer(handler))
    assert fetch(Wanted([server.url("/breaks")]), target) == SHA256


def test_part_from_another_place_is_refused(server, target):
    with pytest.raises(WeightsError):
        fetch(Wanted([server.url("/breaks")]), target)
    server.answer = lambda handler, answer=server.answer: (setattr(handler, "path", "/elsewhere"), answer(handler))
    with pytest.raises(WeightsError, match=f"expected bytes from {len(CONTENT) // 2} on"):
        fetch(Wanted([server.url("/breaks")]), target)


def test_damaged_note_on_a_part_starts_again(server, target):
    target.parent.mkdir()
    target.with_name("w.pth.part").write_bytes(b"junk")
    target.with_name("w.pth.part.json").write_text("[}")
    assert fetch(Wanted([server.url()], SHA256), target) == SHA256


def test_page_in_between_does_not_cost_the_part(server, target):
    with pytest.raises(WeightsError):
        fetch(Wanted([server.url("/breaks")]), target)
    server.answer = lambda handler, answer=server.answer: (setattr(handler, "path", "/page"), answer(handler))
    with pytest.raises(WeightsError, match="web page"):
        fetch(Wanted([server.url("/breaks")]), target)
    assert target.with_name("w.pth.part").stat().st_size == len(CONTENT) // 2


def test_web_page_is_not_saved_as_weights(server, target):
    with pytest.raises(WeightsError, match="a web page, not a file"):
        fetch(Wanted([server.url("/page")]), target)
    assert not target.exists()


def test_next_address_serves_when_one_fails(server, target):
    assert fetch(Wanted([server.url("/missing"), server.url()], SHA256), target) == SHA256


def test_every_reason_is_told(server, target):
    with pytest.raises(WeightsError, match=r"/missing: HTTP Error 404.*; .*/page: the server sent a web page"):
        fetch(Wanted([server.url("/missing"), server.url("/page")]), target)


def test_silent_server_is_given_up(target, monkeypatch):
    import socket

    monkeypatch.setattr(download, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as quiet, pytest.raises(WeightsError, match="timed out"):
        fetch(Wanted([f"http://127.0.0.1:{quiet.getsockname()[1]}/w.pth"]), target)


def test_processes_that_want_the_same_file_fetch_it_once(server, target):
    digests = []
    threads = [threading.Thread(target=lambda: digests.append(fetch(Wanted([server.url()], SHA256), target))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == [SHA256] * 4
    assert len(server.requests) == 1


def test_folder_that_cannot_be_written_is_said(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot write"):
        fetch(Wanted([server.url()]), tmp_path / "file" / "w.pth")


@pytest.mark.parametrize(
    ("name", "value", "offline"), [("VIDPC_OFFLINE", "1", True), ("HF_HUB_OFFLINE", "YES", True), ("VIDPC_OFFLINE", "0", False)]
)
def test_offline_is_read_from_the_environment(name, value, offline, monkeypatch):
    for variable in ("VIDPC_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, value)
    assert download.is_offline() is offline
