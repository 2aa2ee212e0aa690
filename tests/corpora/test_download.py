"""Downloads against a server that misbehaves."""

import hashlib
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from paperkit.corpora.download import CHUNK, Unreachable, download, sha256_of
from paperkit.errors import InputError

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


def first_byte(asked: str) -> int:
    return int(re.fullmatch(r"bytes=(\d+)-", asked)[1])


class Handler(BaseHTTPRequestHandler):
    """``/way/…`` is answered in that way; every request is noted."""

    def do_GET(self):
        way = self.path.split("/")[1]
        asked = self.headers.get("Range")
        self.server.asked.append((way, asked))
        first = len(self.server.asked) == 1
        start = first_byte(asked) if asked else 0
        if way == "missing":
            return self.answer(404, b"")
        if way == "busy" and first:
            return self.answer(503, b"")
        if way == "wrong":
            return self.answer(200, b"<html>log in</html>")
        if way == "endless":
            return self.answer(200, CONTENT * 3)
        if way == "stubborn":
            return self.answer(416, b"") if asked else self.answer(200, CONTENT)
        if way == "elsewhere" and asked:
            return self.answer(206, CONTENT, {"Content-Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"})
        if asked and way != "norange":
            span = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
            return self.answer(206, CONTENT[start:], {"Content-Range": span})
        cut = way in ("cut", "norange") and first
        return self.answer(200, CONTENT, send=HALF if cut or way == "always-cut" else None)

    def answer(self, status, body, headers=None, send=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:send])
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        running.address = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetch(address, target, sha256=SHA256, size=None):
    download(address, target, sha256, size or len(CONTENT), pause=0, timeout=(2, 2))


def everything_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("way", ["whole", "busy", "cut", "norange"])
def test_complete_in_the_end(way, server, tmp_path):
    target = tmp_path / "new" / "file"
    fetch(f"{server.address}/{way}/file", target)
    assert target.read_bytes() == CONTENT
    assert everything_in(tmp_path) == ["file"]
    first, *more = [asked for _, asked in server.asked]
    assert first is None
    assert len(more) == (way != "whole")
    if way in ("cut", "norange"):
        assert HALF - CHUNK < first_byte(more[0]) <= HALF


def test_an_interrupted_download_is_resumed_by_the_next_call(server, tmp_path):
    target = tmp_path / "file"
    with pytest.raises(InputError, match=f"closed after [0-9]+ of {len(CONTENT)} bytes") as failure:
        download(f"{server.address}/always-cut", target, SHA256, len(CONTENT), attempts=1, timeout=(2, 2))
    assert len(str(failure.value).splitlines()) == 1
    assert everything_in(tmp_path) == ["file.part"]
    fetch(f"{server.address}/whole", target)
    (_, none), (_, rest) = server.asked
    assert none is None and HALF - CHUNK < first_byte(rest) <= HALF
    assert sha256_of(target) == SHA256 and everything_in(tmp_path) == ["file"]


@pytest.mark.parametrize("way", ["whole", "stubborn", "elsewhere"])
@pytest.mark.parametrize("remains", [b"of another file", CONTENT + b"too much", b"x" * len(CONTENT)])
def test_remains_of_something_else_are_replaced(way, remains, server, tmp_path):
    (tmp_path / "file.part").write_bytes(remains)
    fetch(f"{server.address}/{way}", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_complete_part_needs_no_request(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    fetch(f"{server.address}/missing", tmp_path / "file")
    assert not server.asked and everything_in(tmp_path) == ["file"]


@pytest.mark.parametrize("way", ["wrong", "endless"])
def test_wrong_bytes_are_removed_and_said(way, server, tmp_path):
    with pytest.raises(InputError) as failure:
        fetch(f"{server.address}/{way}", tmp_path / "file")
    for words in (f"/{way} sent", "removed", f"expected sha256 {SHA256} ({len(CONTENT)} bytes)", "got "):
        assert words in str(failure.value)
    assert everything_in(tmp_path) == []


def test_the_right_size_with_wrong_content(server, tmp_path):
    with pytest.raises(InputError, match=f"got {SHA256}"):
        fetch(f"{server.address}/whole", tmp_path / "file", sha256="0" * 64)
    assert everything_in(tmp_path) == []


def test_an_older_file_stays_until_the_new_one_is_right(server, tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(InputError):
        fetch(f"{server.address}/wrong", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_refusal_is_not_repeated(server, tmp_path):
    with pytest.raises(InputError, match="answered 404"):
        fetch(f"{server.address}/missing", tmp_path / "file")
    assert len(server.asked) == 1 and everything_in(tmp_path) == []


def test_no_server(tmp_path):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{reserved.getsockname()[1]}/file"
        with pytest.raises(Unreachable, match="connection failed") as failure:
            fetch(address, tmp_path / "file")
    assert len(str(failure.value).splitlines()) == 1
    assert everything_in(tmp_path) == []


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        fetch(f"{server.address}/whole", tmp_path / "taken" / "file")


def test_two_at_once(server, tmp_path):
    import fcntl

    with open(tmp_path / "file.part", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process"):
            fetch(f"{server.address}/whole", tmp_path / "file")
