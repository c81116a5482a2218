"""Downloads, against a server on loopback that cuts connections, lies about sizes, and knows or ignores
ranges."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from distrecvae.data.download import DOWNLOADS, LICENCE, SERVER, Download, default_folder, download
from distrecvae.errors import DataError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@dataclass
class Server:
    """What the server does, and what it was asked."""

    address: str = ""
    cut_after: list[int] = field(
        default_factory=list
    )  # bytes sent before each of the first connections is cut
    ranges: bool = True
    md5_file: str | None = f"MD5 (data.zip) = {MD5}\n"
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/data.zip.md5" and state.md5_file is not None:
                self.answer(200, state.md5_file.encode())
            elif self.path == "/data.zip":
                asked = self.headers["Range"]
                state.asked.append(asked or "all")
                match = re.fullmatch(r"bytes=(\d+)-", asked or "")
                if match and state.ranges:
                    start = int(match[1])
                    if start >= len(CONTENT):
                        self.answer(416, b"")
                        return
                    self.answer(206, CONTENT[start:], f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
                else:
                    self.answer(200, CONTENT)
            else:
                self.send_error(404)

        def answer(self, status: int, body: bytes, content_range: str | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if content_range:
                self.send_header("Content-Range", content_range)
            self.end_headers()
            cut = state.cut_after.pop(0) if state.cut_after and self.path == "/data.zip" else len(body)
            self.wfile.write(body[:cut])

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.address = f"http://127.0.0.1:{httpd.server_port}"
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


KNOWN = {
    "pinned": Download(file="data.zip", size_bytes=len(CONTENT), md5=MD5),
    "published": Download(file="data.zip"),
    "wrong md5": Download(file="data.zip", md5="0" * 32),
    "wrong size": Download(file="data.zip", size_bytes=7, md5=MD5),
    "moved": Download(file="elsewhere.zip", md5=MD5),
}


def fetch(server: Server, folder: Path, name: str = "pinned", lines: list[str] | None = None) -> Path:
    say = (lines if lines is not None else []).append
    return download(name, folder, server=server.address, known=KNOWN, say=say, timeout_s=5)


@pytest.mark.parametrize("name", ["pinned", "published"])
def test_fetched_checked_and_kept(server: Server, tmp_path: Path, name: str) -> None:
    lines: list[str] = []
    path = fetch(server, tmp_path / "new", name, lines)
    assert path.read_bytes() == CONTENT
    assert LICENCE in lines, "the licence is named"
    assert fetch(server, tmp_path / "new", name) == path
    assert server.asked == ["all"], "what is there is not fetched again"
    assert [p.name for p in path.parent.iterdir()] == ["data.zip"]


@pytest.mark.parametrize("ranges", [True, False])
def test_goes_on_after_cuts(server: Server, tmp_path: Path, ranges: bool) -> None:
    """Twice within one call; a server without ranges is asked for all of it again."""
    server.ranges, server.cut_after = ranges, [1_000_000, 500_000]
    done: list[int] = []
    path = download(
        "pinned", tmp_path, server=server.address, known=KNOWN, progress=lambda n, _: done.append(n)
    )
    assert path.read_bytes() == CONTENT
    assert server.asked[0] == "all"
    assert server.asked[1] == "bytes=1000000-"
    assert server.asked[2] == ("bytes=1500000-" if ranges else "bytes=500000-")
    assert done[-1] == len(CONTENT)


def test_a_later_call_goes_on_where_this_one_gave_up(server: Server, tmp_path: Path) -> None:
    server.cut_after = [400_000, 0, 0, 0, 0]
    with pytest.raises(DataError, match=r"ended after 400000 of 3000000 bytes.*continues"):
        fetch(server, tmp_path)
    assert (tmp_path / "data.zip.part").stat().st_size == 400_000
    server.asked.clear()
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=400000-"]


def test_a_whole_part_is_only_checked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(CONTENT)
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == []


def test_a_part_that_does_not_fit_is_dropped(server: Server, tmp_path: Path) -> None:
    """Longer than the archive (416), or of other bytes (MD5): fetched again, now or at the next call."""
    (tmp_path / "data.zip.part").write_bytes(CONTENT + b"more")
    assert fetch(server, tmp_path, "published").read_bytes() == CONTENT
    (tmp_path / "data.zip").unlink()
    (tmp_path / "data.zip.part").write_bytes(b"x" * 1000)
    with pytest.raises(DataError, match="arrived with MD5"):
        fetch(server, tmp_path)
    assert fetch(server, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong md5", "arrived with MD5 .* the published one is 000000"),
        ("wrong size", "is 3000000 bytes and 7 are published"),
        ("moved", "answered 404"),
    ],
)
def test_what_is_not_as_published(server: Server, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        fetch(server, tmp_path, name)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [], "nothing that is wrong stays"


@pytest.mark.parametrize(
    ("md5_file", "message"), [(None, "cannot be checked"), ("<html>", "holds no MD5")], ids=["none", "html"]
)
def test_without_a_published_checksum(
    server: Server, tmp_path: Path, md5_file: str | None, message: str
) -> None:
    server.md5_file = md5_file
    with pytest.raises(DataError, match=message):
        fetch(server, tmp_path, "published")
    assert not (tmp_path / "data.zip").exists()


def test_no_server(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could not be fetched"):
        download("pinned", tmp_path, server="http://127.0.0.1:9", known=KNOWN, timeout_s=1)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="--download-to"):
        fetch(server, tmp_path / "file" / "below")


def test_only_the_publishers_own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SERVER.startswith("https://")
    assert set(DOWNLOADS) == {"ml-20m", "ml-1m", "ml-latest-small"}
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_folder() == Path("/somewhere/distrecvae")
