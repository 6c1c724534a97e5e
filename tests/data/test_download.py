"""Downloads against a local server: broken connections, resumption, checksums, archives that bite."""

from __future__ import annotations

import hashlib
import io
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hybrid.base.errors import HybridError, InputError
from hybrid.data import download
from hybrid.data.download import CorpusSource, download_file, fetch_corpus


class Server:
    """Serves `files`; `cut_after` closes each connection after so many bytes, `ranges` obeys Range."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut_after = 0
        self.hang = threading.Event()
        self.ranges = True
        self.requests: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers.get("Range")))
                data = outer.files.get(self.path)
                if data is None:
                    self.send_error(404)
                    return
                begin = 0
                wanted = self.headers.get("Range")
                if wanted and outer.ranges:
                    begin = int(wanted.removeprefix("bytes=").split("-")[0])
                    if begin >= len(data):
                        self.send_error(416)
                        return
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
                else:
                    self.send_response(200)
                part = data[begin:]
                self.send_header("Content-Length", str(len(part)))
                self.end_headers()
                self.wfile.write(part[: outer.cut_after] if outer.cut_after else part)
                if outer.cut_after and not outer.hang.is_set():
                    self.wfile.flush()
                    outer.hang.wait(60)
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    found.hang.set()
    yield found
    found.hang.set()
    found.server.shutdown()
    found.server.server_close()


DATA = bytes(range(256)) * 4000
SUM = "sha256:" + hashlib.sha256(DATA).hexdigest()


def test_a_broken_connection_goes_on_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"], server.cut_after = DATA, 400_000
    path = download_file(f"{server.url}/a.bin", tmp_path / "a.bin", SUM, pause=0)
    assert path.read_bytes() == DATA and not (tmp_path / "a.bin.part").exists()
    assert [r for _, r in server.requests] == [None, "bytes=400000-", "bytes=800000-"]


def test_a_killed_run_is_resumed_by_the_next(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"], server.cut_after = DATA, 300_000
    with pytest.raises(HybridError, match=r"connection closed early \(2 tries, 600000 bytes kept in .*a.bin.part\)"):
        download_file(f"{server.url}/a.bin", tmp_path / "a.bin", SUM, tries=2, pause=0)
    server.cut_after = 0
    download_file(f"{server.url}/a.bin", tmp_path / "a.bin", SUM, pause=0)
    assert server.requests[-1][1] == "bytes=600000-"
    count = len(server.requests)
    download_file(f"{server.url}/a.bin", tmp_path / "a.bin", SUM, pause=0)
    assert len(server.requests) == count  # it is there, nothing is asked for


def test_sigkill_in_the_middle_loses_nothing_that_was_received(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"], server.cut_after = DATA, 500_000
    server.hang.clear()
    code = "import sys; from hybrid.data.download import download_file; download_file(*sys.argv[1:])"
    command = [sys.executable, "-c", code, f"{server.url}/a.bin", str(tmp_path / "a.bin"), SUM]
    process = subprocess.Popen(command)
    part = tmp_path / "a.bin.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 400_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = part.stat().st_size
    server.hang.set()
    server.cut_after = 0
    download_file(f"{server.url}/a.bin", tmp_path / "a.bin", SUM, pause=0)
    assert kept > 400_000 and server.requests[-1][1] == f"bytes={kept}-"
    assert (tmp_path / "a.bin").read_bytes() == DATA


def test_a_second_run_at_one_file_is_told(server: Server, tmp_path: Path) -> None:
    from hybrid.base.locks import take_lock

    errors: list[str] = []

    def second() -> None:
        try:
            download_file("http://127.0.0.1:9/a", tmp_path / "a", "", pause=0)
        except HybridError as error:
            errors.append(str(error))

    with take_lock(tmp_path / "a", tmp_path / ".lock.a", "download"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert "another run is writing to it" in errors[0]


def test_a_server_without_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"], server.ranges = DATA, False
    (tmp_path / "a.bin.part").write_bytes(DATA[:1000])
    download_file(f"{server.url}/a.bin", tmp_path / "a.bin", SUM, pause=0)
    assert (tmp_path / "a.bin").read_bytes() == DATA


def test_a_part_that_is_whole_already(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = DATA
    (tmp_path / "a.bin.part").write_bytes(DATA)
    download_file(f"{server.url}/a.bin", tmp_path / "a.bin", SUM, pause=0)
    assert (tmp_path / "a.bin").read_bytes() == DATA


def test_a_wrong_checksum(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = b"other"
    with pytest.raises(
        HybridError, match=r"sha256 of the 5 bytes received is \w{64}, wanted \w{64}. Run the command again"
    ):
        download_file(f"{server.url}/a.bin", tmp_path / "a.bin", SUM, pause=0)
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.bin").write_bytes(b"mine")
    with pytest.raises(HybridError, match=r"Remove .*a.bin and run the command again"):
        download_file(f"{server.url}/a.bin", tmp_path / "a.bin", "md5:" + "0" * 32, pause=0)
    assert (tmp_path / "a.bin").read_bytes() == b"mine"
    with pytest.raises(InputError, match="'crc:1' is not md5:… or sha256:…"):
        download_file(f"{server.url}/a.bin", tmp_path / "a.bin", "crc:1", pause=0)


def test_a_server_that_refuses_or_is_not_there(server: Server, tmp_path: Path) -> None:
    with pytest.raises(HybridError, match="the server answers 404 Not Found. Try a mirror with --base-url"):
        download_file(f"{server.url}/none", tmp_path / "a.bin", "", pause=0)
    with pytest.raises(HybridError, match=r"refused.*or put the file at .*a.bin yourself"):
        download_file("http://127.0.0.1:9/a.bin", tmp_path / "a.bin", "", tries=1)


def tar_of(files: dict[str, bytes], link: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(member)
    return stream.getvalue()


def serve(server: Server, monkeypatch: pytest.MonkeyPatch, archive: bytes, content: str = "") -> None:
    checksum = "md5:" + hashlib.md5(archive).hexdigest()
    source = CorpusSource("https://example.org/resources/1/waves.tar.gz", checksum, "waves", "waves_yesno", content)
    monkeypatch.setitem(download.SOURCES, "yesno", {"": source})
    server.files["/mirror/waves.tar.gz"] = archive


def test_a_corpus_is_unpacked_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(server, monkeypatch, tar_of({"waves/1.wav": b"one", "README": b"x"}))
    folder = fetch_corpus("yesno", tmp_path, base_url=f"{server.url}/mirror")
    assert (folder / "1.wav").read_bytes() == b"one"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["waves.tar.gz", "waves_yesno"]
    fetch_corpus("yesno", tmp_path, base_url=f"{server.url}/mirror")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (tar_of({"../evil": b"x"}), "holds '../evil', which is no plain file below it"),
        (tar_of({"/evil": b"x"}), "which is no plain file below it"),
        (tar_of({"waves/a": b"x"}, link="waves/link"), "holds 'waves/link', which is no plain file"),
        (tar_of({"other/a": b"x"}), "holds no folder 'waves'"),
        (tar_of({"waves/a": b"x" * 100000})[:-200], "cannot be unpacked"),
        (b"no archive", "cannot be unpacked"),
    ],
    ids=["parent", "absolute", "link", "layout", "cut", "none"],
)
def test_archives_that_bite(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: bytes, message: str
) -> None:
    serve(server, monkeypatch, archive)
    with pytest.raises(InputError, match=message):
        fetch_corpus("yesno", tmp_path / "d", base_url=f"{server.url}/mirror")
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["waves.tar.gz"]
    assert not (tmp_path / "evil").exists()


def test_files_are_checked_where_the_archive_has_no_checksum(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, monkeypatch, tar_of({"waves/0_x_3.wav": b"x"}), content="0" * 64)
    with pytest.raises(InputError, match=r"its files are not those known \(sha256 \w{64}\)"):
        fetch_corpus("yesno", tmp_path, base_url=f"{server.url}/mirror")


def test_unknown_corpora_and_parts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'timit' is unknown. Known: yesno, fsdd, librispeech"):
        fetch_corpus("timit", tmp_path)
    with pytest.raises(InputError, match="librispeech has no part 'dev'. Parts: train-clean-100"):
        fetch_corpus("librispeech", tmp_path, "dev")


@pytest.mark.real
def test_the_known_digest_of_fsdd(corpora: Path) -> None:
    assert download.content_digest(corpora / "fsdd" / "recordings") == download.SOURCES["fsdd"][""].content
