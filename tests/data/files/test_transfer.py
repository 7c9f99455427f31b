"""Downloads from a server on this machine; no test connects to the address of a data set."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from data.errors import DatasetError
from data.files import transfer
from data.files.transfer import Download, Offer, ask, fetch

CONTENT = bytes(range(256)) * 5000
OTHER = CONTENT[::-1]
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server:
    """Serves `content` as /file.zip.

    Attributes
    ----------
    content : bytes
    headers : dict
        Headers of every answer, such as ETag.
    broken : bool
        Stop half-way.
    asked : list of (Range, If-Range)
        What was asked for.
    if_range : bool
        False: If-Range is not known, as on some servers.
    shift : int
        Added to the position in Content-Range, as a faulty proxy does.
    """

    def __init__(self):
        self.content, self.headers, self.broken = CONTENT, {"ETag": '"one"'}, False
        self.asked, self.if_range, self.shift, self.length = [], True, 0, True

    def answer(self, request, body):
        if request.path != "/file.zip":
            request.send_error(404)
            return
        wanted, condition = request.headers.get("Range", ""), request.headers.get("If-Range", "")
        if body:
            self.asked.append((wanted, condition))
        fits = not self.if_range or condition in self.headers.values()
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and fits else 0
        if start >= len(self.content):
            request.send_error(416)
            return
        request.send_response(206 if wanted and fits else 200)
        if wanted and fits:
            request.send_header(
                "Content-Range", f"bytes {start + self.shift}-{len(self.content) - 1}/{len(self.content)}"
            )
        for name, value in self.headers.items():
            request.send_header(name, value)
        if self.length:
            request.send_header("Content-Length", str(len(self.content) - start))
        request.end_headers()
        if body:
            request.wfile.write(self.content[start : len(self.content) // 2 if self.broken else None])


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            state.answer(self, body=False)

        def do_GET(self):
            state.answer(self, body=True)

        def log_message(self, *_):
            pass

    state = Server()
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.handle_error = lambda *_: None  # the client may leave before the end
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{running.server_port}/file.zip"
    yield state
    running.shutdown()
    running.server_close()
    thread.join()


def silent(received, size):
    return lambda count: None


def broken_off(server, target, offer=None) -> int:
    """An interrupted download. Returns the number of bytes that it left."""
    server.broken = True
    with pytest.raises(DatasetError, match=r"download failed .*same command again"):
        fetch(Download(server.url), target, offer or Offer(len(server.content), ""), silent)
    server.broken = False
    server.asked.clear()
    assert not target.exists()
    return target.with_name(f"{target.name}.partial").stat().st_size


def test_the_size_is_known_before_the_download_and_the_file_is_complete(server, tmp_path):
    offer = ask(Download(server.url, MD5))
    assert offer == Offer(len(CONTENT), "")
    begun, seen = [], []

    def begin(received, size):
        begun.append((received, size))
        return seen.append

    fetch(Download(server.url, MD5), tmp_path / "file.zip", offer, begin)
    assert [path.name for path in tmp_path.iterdir()] == ["file.zip"]
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    assert begun == [(0, len(CONTENT))]
    assert sum(seen) == len(CONTENT)


@pytest.mark.parametrize("validator", [{"ETag": '"one"'}, {"Last-Modified": "Tue, 01 Jul 2025 10:00:00 GMT"}])
def test_a_broken_download_continues_where_it_stopped(server, tmp_path, validator):
    server.headers = validator
    half = broken_off(server, tmp_path / "file.zip")
    begun, seen = [], []

    def begin(received, size):
        begun.append((received, size))
        return seen.append

    fetch(Download(server.url), tmp_path / "file.zip", Offer(len(CONTENT), ""), begin)
    assert server.asked == [(f"bytes={half - 1}-", *validator.values())]
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    assert begun == [(half - 1, len(CONTENT))], "what an earlier run has received is not new"
    assert sum(seen) == len(CONTENT) - half + 1


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_finished_partial_file_is_taken(server, tmp_path, size):
    """A run that was killed before the renaming. A server answers a request for the bytes behind the end with 416."""
    broken_off(server, tmp_path / "file.zip")
    (tmp_path / "file.zip.partial").write_bytes(CONTENT)
    fetch(Download(server.url), tmp_path / "file.zip", Offer(size, ""), silent)
    assert server.asked == [(f"bytes={len(CONTENT) - 1}-", '"one"')]
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_with_a_checksum_a_finished_partial_file_needs_no_server(server, tmp_path):
    (tmp_path / "file.zip.partial").write_bytes(CONTENT)
    fetch(Download(server.url, MD5), tmp_path / "file.zip", Offer(len(CONTENT), ""), silent)
    assert server.asked == []
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_a_partial_file_that_is_too_long_is_downloaded_again(server, tmp_path):
    broken_off(server, tmp_path / "file.zip")
    (tmp_path / "file.zip.partial").write_bytes(CONTENT + b"more")
    fetch(Download(server.url), tmp_path / "file.zip", Offer(None, ""), silent)
    assert [wanted for wanted, _ in server.asked] == [f"bytes={len(CONTENT) + 3}-", ""]
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("if_range", [True, False])
def test_another_version_of_the_file_is_never_mixed_with_the_first(server, tmp_path, if_range):
    broken_off(server, tmp_path / "file.zip")
    server.content, server.headers, server.if_range = OTHER, {"ETag": '"two"'}, if_range
    fetch(Download(server.url), tmp_path / "file.zip", Offer(len(OTHER), ""), silent)
    assert (tmp_path / "file.zip").read_bytes() == OTHER


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_without_a_version_the_download_starts_again(server, tmp_path, headers):
    server.headers = headers
    broken_off(server, tmp_path / "file.zip")
    fetch(Download(server.url), tmp_path / "file.zip", Offer(len(CONTENT), ""), silent)
    assert server.asked == [("", "")]
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_an_answer_from_another_position_is_not_taken(server, tmp_path):
    broken_off(server, tmp_path / "file.zip")
    server.shift = -1
    fetch(Download(server.url), tmp_path / "file.zip", Offer(len(CONTENT), ""), silent)
    assert len(server.asked) == 2
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("note", ["[]", "{", '{"url": 1}', "null", None, "\u00e9"])
def test_a_damaged_note_starts_again(server, tmp_path, note):
    broken_off(server, tmp_path / "file.zip")
    path = tmp_path / "file.zip.partial.json"
    if note is None:
        path.unlink()
    else:
        path.write_text(note)
    fetch(Download(server.url), tmp_path / "file.zip", Offer(len(CONTENT), ""), silent)
    assert server.asked == [("", "")]
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_a_header_cannot_be_smuggled_in_through_the_note(server, tmp_path):
    broken_off(server, tmp_path / "file.zip")
    path = tmp_path / "file.zip.partial.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "validator": '"one"\r\nX: y'}))
    fetch(Download(server.url), tmp_path / "file.zip", Offer(len(CONTENT), ""), silent)
    assert server.asked == [("", "")]


def test_a_connection_that_ends_early_is_no_success_even_if_nobody_named_the_size(server, tmp_path):
    broken_off(server, tmp_path / "file.zip", Offer(None, ""))


def test_two_sizes_of_one_file_are_named(server, tmp_path):
    with pytest.raises(DatasetError, match=rf"names two sizes, 7 and {len(CONTENT)} bytes"):
        fetch(Download(server.url), tmp_path / "file.zip", Offer(7, ""), silent)


def test_a_server_that_names_no_size_is_compared_with_what_it_offered(server, tmp_path):
    server.length, server.broken = False, True
    with pytest.raises(DatasetError, match="size is 640000, not 1280000; the file was deleted"):
        fetch(Download(server.url), tmp_path / "file.zip", Offer(len(CONTENT), ""), silent)
    assert list(tmp_path.iterdir()) == []


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
    download, offer = Download(server.url, **known), Offer(len(CONTENT), reported)
    with pytest.raises(DatasetError, match=f"{kind} is .* not 000"):
        fetch(download, tmp_path / "file.zip", offer, silent)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_an_earlier_run_is_checked_again(server, tmp_path):
    target = tmp_path / "file.zip"
    target.write_bytes(CONTENT)
    fetch(Download(server.url, MD5), target, Offer(len(CONTENT), ""), silent)
    assert server.asked == []
    target.write_bytes(OTHER)
    with pytest.raises(DatasetError, match="md5 is .* the file was deleted"):
        fetch(Download(server.url, MD5), target, Offer(len(CONTENT), ""), silent)
    assert not target.exists()


def test_a_missing_file_is_named(server):
    with pytest.raises(DatasetError, match="nothing.zip: download failed .*404"):
        ask(Download(server.url.replace("file", "nothing")))


def test_a_size_that_is_no_number_is_unknown(server):
    server.length, server.headers = False, {"Content-Length": "many", "X-Linked-ETag": "z" * 64}
    assert ask(Download(server.url)) == Offer(None, "")


def test_a_full_disk_is_told_before_the_download(server, tmp_path, monkeypatch):
    usage = transfer.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(DatasetError, match=r"file.zip.partial: cannot be written .*1280000 bytes are needed and 100"):
        fetch(Download(server.url), tmp_path / "file.zip", Offer(len(CONTENT), ""), silent)


def test_a_redirect_out_of_https_is_not_followed_without_a_checksum():
    handler, request = transfer._SecureRedirect(), transfer.urllib.request.Request("https://a.org/b.zip")
    with pytest.raises(transfer.http.client.HTTPException, match="http://c.org/b.zip, which is not secure"):
        handler.redirect_request(request, None, 302, "Found", {}, "http://c.org/b.zip")
    assert handler.redirect_request(request, None, 302, "Found", {}, "https://c.org/b.zip").type == "https"
