"""Downloads from a server on this machine; no test connects to the address of a data set."""

import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from data.errors import DatasetError
from data.readers.downloads import DOWNLOADS, Download, Offer, ask, fetch, unpack

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def server():
    """Serves CONTENT as /file.zip, with ranges. `broken` makes it stop half-way; `ranges` lists what was requested."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            if self.path != "/file.zip":
                self.send_error(404)
                return
            requested = self.headers.get("Range", "")
            state["ranges"].append(requested)
            start = int(requested.removeprefix("bytes=").removesuffix("-")) if requested else 0
            self.send_response(206 if requested else 200)
            self.send_header("Content-Length", str(len(CONTENT) - start))
            self.end_headers()
            if body:
                self.wfile.write(CONTENT[start : len(CONTENT) // 2 if state["broken"] else None])

        def log_message(self, *_):
            pass

    state = {"ranges": [], "broken": False}
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    state["url"] = f"http://127.0.0.1:{running.server_port}/file.zip"
    yield state
    running.shutdown()
    running.server_close()
    thread.join()


def test_the_size_is_known_before_the_download_and_the_file_is_complete(server, tmp_path):
    download = Download(server["url"], hashlib.md5(CONTENT).hexdigest())
    offer = ask(download)
    assert offer == Offer(len(CONTENT), "")
    seen = []
    fetch(download, tmp_path / "file.zip", offer, seen.append)
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    assert sum(seen) == len(CONTENT)


def test_a_broken_download_continues_where_it_stopped(server, tmp_path):
    download = Download(server["url"], hashlib.md5(CONTENT).hexdigest())
    server["broken"] = True
    with pytest.raises(DatasetError, match=r"download failed .*same command again"):
        fetch(download, tmp_path / "file.zip", Offer(len(CONTENT), ""), lambda count: None)
    half = (tmp_path / "file.zip.partial").stat().st_size
    assert 0 < half <= len(CONTENT) // 2
    assert not (tmp_path / "file.zip").exists()
    server["broken"] = False
    fetch(download, tmp_path / "file.zip", Offer(len(CONTENT), ""), lambda count: None)
    assert server["ranges"][-1] == f"bytes={half}-"
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("kind", "known", "reported"),
    [
        ("md5", {"md5": "0" * 32}, ""),
        ("sha256", {"sha256": "0" * 64}, ""),
        ("sha256", {"sha256": "0" * 64}, hashlib.sha256(CONTENT).hexdigest()),  # our checksum takes precedence
        ("sha256", {}, "0" * 64),
    ],
)
def test_a_wrong_checksum_is_named_and_the_file_deleted(server, tmp_path, kind, known, reported):
    download, offer = Download(server["url"], **known), Offer(len(CONTENT), reported)
    with pytest.raises(DatasetError, match=f"{kind} is .* not 000"):
        fetch(download, tmp_path / "file.zip", offer, lambda count: None)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(server, tmp_path):
    with pytest.raises(DatasetError, match="nothing.zip: download failed .*404"):
        ask(Download(server["url"].replace("file", "nothing")))


def test_archives_are_unpacked_and_damaged_ones_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("folder/a.txt", "a")
    with tarfile.open(tmp_path / "b.tgz", "w:gz") as packed:
        entry = tarfile.TarInfo("folder/b.txt")
        entry.size = 1
        packed.addfile(entry, io.BytesIO(b"b"))
    for name in ("a.zip", "b.tgz"):
        unpack(tmp_path / name, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out/folder").iterdir()) == ["a.txt", "b.txt"]
    (tmp_path / "c.zip").write_bytes(b"not an archive")
    with pytest.raises(DatasetError, match="c.zip: cannot be unpacked"):
        unpack(tmp_path / "c.zip", tmp_path / "out")


def test_every_address_is_secure_or_has_a_checksum():
    for downloads in DOWNLOADS.values():
        for download in downloads:
            assert download.url.startswith("https://") or download.md5
