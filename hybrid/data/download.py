"""Downloads that go on where they were cut off, and are checked before they are unpacked."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

from hybrid.base.disk import disk_error, make_folder, sync_file, sync_folder, sync_tree, writing
from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.locks import take_lock, temporary_name
from hybrid.base.log import get_logger, progress

__all__ = ["SOURCES", "CorpusSource", "download_file", "fetch_corpus"]

logger = get_logger(__name__)
CHUNK = 1 << 20
TRIES = 5
FSDD_COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"


@dataclass(frozen=True)
class CorpusSource:
    """An archive of a corpus.

    Attributes:
      checksum: `md5:…` or `sha256:…` of the archive; empty where its publisher makes the archive anew each time.
      member: folder in the archive that holds the corpus.
      target: where that folder goes, in the output folder.
      content: sha256 over the unpacked files instead, see `content_digest`; empty: not checked.
    """

    url: str
    checksum: str
    member: str
    target: str
    content: str = ""


def _librispeech(part: str, md5: str, resource: int = 12) -> CorpusSource:
    url = f"https://www.openslr.org/resources/{resource}/{part}.tar.gz"
    return CorpusSource(url, f"md5:{md5}", f"LibriSpeech/{part}", f"LibriSpeech/{part}")


# Checksums of LibriSpeech are OpenSLR's md5sum.txt, that of yesno is torchaudio's. GitHub packs archives on demand, so
# FSDD is checked by its files (the takes from 3 on).
SOURCES: dict[str, dict[str, CorpusSource]] = {
    "yesno": {
        "": CorpusSource(
            "https://www.openslr.org/resources/1/waves_yesno.tar.gz",
            "sha256:c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
            "waves_yesno",
            "waves_yesno",
        )
    },
    "fsdd": {
        "": CorpusSource(
            f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{FSDD_COMMIT}.tar.gz",
            "",
            f"free-spoken-digit-dataset-{FSDD_COMMIT}/recordings",
            "fsdd/recordings",
            "46798b648652c51ad26e09d17639123ffda0904625d0f980f243e8ffd68ca7b5",
        )
    },
    "librispeech": {
        "train-clean-100": _librispeech("train-clean-100", "2a93770f6d5c6c964bc36631d331a522"),
        "train-clean-360": _librispeech("train-clean-360", "c0e676e450a7ff2f54aeade5171606fa"),
        "train-other-500": _librispeech("train-other-500", "d1a0fd59409feb2c614ce4d30c387708"),
        "dev-clean": _librispeech("dev-clean", "42e2234ba48799c1f50f24a7926300a1"),
        "dev-other": _librispeech("dev-other", "c8d0bcc9cca99d4f8b62fcc847357931"),
        "test-clean": _librispeech("test-clean", "32fa31d27d2e1cad72775fee3f4849a9"),
        "test-other": _librispeech("test-other", "fb5a50374b501bb3bac4815ee91d3135"),
        "train-clean-5": _librispeech("train-clean-5", "5df7d4e78065366204ca6845bb08f490", 31),
        "dev-clean-2": _librispeech("dev-clean-2", "6d7ab67ac6a1d2c993d050e16d61080d", 31),
    },
}


def fetch_corpus(
    corpus: str, out_dir: str | os.PathLike, part: str = "", base_url: str = "", checksum: str = ""
) -> Path:
    """Downloads, checks and unpacks a corpus; what is there already is left as it is.

    Args:
      part: of LibriSpeech.
      base_url: a mirror's folder that holds the archive under the same name.
      checksum: wanted instead of the one known here, `md5:…` or `sha256:…`.

    Returns:
      The folder of the corpus, as `hybrid data CORPUS --corpus-dir` takes it.

    Raises:
      HybridError: no such corpus or part, no connection, a wrong checksum, a damaged archive, a full disk.
    """
    parts = SOURCES.get(corpus)
    if parts is None:
        raise InputError.at("corpus", f"'{quote(corpus)}' is unknown", f"Known: {', '.join(SOURCES)}.")
    if part not in parts:
        raise InputError.at("--part", f"{corpus} has no part '{quote(part)}'", f"Parts: {', '.join(parts) or 'none'}.")
    source = parts[part]
    if base_url:
        source = replace(source, url=f"{base_url.rstrip('/')}/{source.url.rsplit('/', 1)[1]}")
    if checksum:
        source = replace(source, checksum=checksum, content="")
    out = Path(out_dir)
    target = out / source.target
    if target.is_dir():
        logger.info("%s is there already", target)
    else:
        archive = download_file(source.url, out / source.url.rsplit("/", 1)[1], source.checksum)
        _unpack(archive, source, out)
    return target.parent if corpus in ("librispeech", "fsdd") else target


def download_file(url: str, path: str | os.PathLike, checksum: str, tries: int = TRIES, pause: float = 2.0) -> Path:
    """Downloads one file; bytes that are there already (`PATH.part`) are kept and the rest is asked for.

    Args:
      checksum: `md5:…` or `sha256:…`; empty: not checked.
      tries: connections before giving up; what was received stays for the next run.
      pause: seconds between them.

    Raises:
      HybridError: the server refuses, the connection keeps breaking, or the checksum is wrong.
    """
    path = Path(path)
    if path.exists():
        _verify(path, url, checksum)
        logger.info("%s is there already", path)
        return path
    make_folder(path.parent)
    with writing(path), take_lock(path, path.with_name(f".lock.{path.name}"), "download"):
        if not path.exists():  # else another run has fetched it meanwhile
            _download(url, path, checksum, tries, pause)
    return path


def _download(url: str, path: Path, checksum: str, tries: int, pause: float) -> None:
    """Receives a file, checks it and puts it in its place; see `download_file`."""
    part = path.with_name(path.name + ".part")
    trouble = ""
    for attempt in range(tries):
        if attempt:
            logger.warning("%s: %s; going on at byte %d", url, trouble, part.stat().st_size if part.exists() else 0)
            time.sleep(pause * attempt)
        try:
            if _receive(url, part):
                break
            trouble = "connection closed early"
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise HybridError(
                    f"{url}: the server answers {error.code} {error.reason}. Try a mirror with --base-url."
                ) from error
            trouble = f"the server answers {error.code} {error.reason}"
        except (TimeoutError, urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
            trouble = str(getattr(error, "reason", error)) or type(error).__name__
    else:
        received = part.stat().st_size if part.exists() else 0
        raise HybridError(
            f"{url}: {trouble} ({tries} tries, {received} bytes kept in {part}). Run the same command again to go on, "
            f"or put the file at {path} yourself."
        )
    _verify(part, url, checksum)
    with writing(path):
        sync_file(part)
        os.replace(part, path)
        sync_folder(path.parent)


def _receive(url: str, part: Path) -> bool:
    """Receives what `part` lacks; tells whether the file is whole."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing lies beyond what we have; the checksum will tell whether it is right
            return True
        raise
    with answer:
        resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        megabytes = total // CHUNK + 1 if total else None
        mode = "ab" if resumed else "wb"
        with writing(part), open(part, mode) as stream, progress(f"{part.stem} MiB", megabytes, logger) as bar:
            received = have
            bar.advance(received // CHUNK)
            while data := answer.read1(CHUNK):
                stream.write(data)
                bar.advance((received + len(data)) // CHUNK - received // CHUNK)
                received += len(data)
        return total is None or part.stat().st_size >= total


def _verify(path: Path, url: str, checksum: str) -> None:
    """Compares a file with its checksum; a `.part` that is wrong is removed, so that the next run starts anew."""
    if not checksum:
        return
    kind, _, wanted = checksum.partition(":")
    if kind not in ("md5", "sha256") or not wanted:
        raise InputError.at("--checksum", f"'{quote(checksum)}' is not md5:… or sha256:…")
    digest = hashlib.new(kind)
    with open(path, "rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    if digest.hexdigest() == wanted.lower():
        return
    size = path.stat().st_size
    cure = "Run the command again, try a mirror with --base-url, or give another --checksum if the file has changed."
    if path.suffix == ".part":
        path.unlink()
    else:
        cure = f"Remove {path} and run the command again."
    raise HybridError(f"{url}: {kind} of the {size} bytes received is {digest.hexdigest()}, wanted {wanted}. {cure}")


def _unpack(archive: Path, source: CorpusSource, out: Path) -> None:
    """Unpacks plain files and folders below a temporary folder, checks them, and moves the corpus into its place."""
    temporary = out / temporary_name("unpack")
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name)
                if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
                    raise InputError.at(
                        archive, f"holds '{quote(member.name)}', which is no plain file below it", "Beware."
                    )
                place = temporary / name
                if member.isdir():
                    place.mkdir(parents=True, exist_ok=True)
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                assert content is not None
                with content, open(place, "wb") as stream:
                    shutil.copyfileobj(content, stream, CHUNK)
        found = temporary / source.member
        if not found.is_dir():
            raise InputError.at(
                archive, f"holds no folder '{quote(source.member)}'", "The publisher changed its layout."
            )
        if source.content and content_digest(found) != source.content:
            raise InputError.at(
                archive, f"its files are not those known (sha256 {content_digest(found)})", "Download it again."
            )
        target = out / source.target
        make_folder(target.parent)
        sync_tree(found)
        os.replace(found, target)
        sync_folder(target.parent)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and (refused := disk_error(error, out)):
            raise refused from error
        raise InputError.at(archive, f"cannot be unpacked ({error})", f"Remove {archive} and try again.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def content_digest(folder: Path) -> str:
    """Returns the sha256 over names and contents of FSDD's files, takes 0–2 left out."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.wav")):
        if path.stem.rsplit("_", 1)[-1] not in ("0", "1", "2"):
            digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
