"""Audio files in folders: every file there is used, or listed with the reason why not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hybrid.base.errors import InputError
from hybrid.base.names import mended_name
from hybrid.base.reading import require_followed
from hybrid.formats.media import MEDIA

__all__ = ["SUFFIXES", "Found", "companions", "find_audio", "place_of", "scan"]

SUFFIXES = (
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".aiff", ".aif", ".aifc", ".au", ".snd", ".sph",
    ".caf", ".w64", ".rf64",
)  # fmt: skip
COMPANIONS = (".txt", ".lab", ".textgrid")  # texts beside audio
_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"FORM", b".snd", b"dns.", b"caff", b"NIST_1A", b"ID3")


@dataclass(frozen=True)
class Found:
    """What lies at some paths.

    Attributes:
      audio: (utterance id, file), sorted by id.
      dead: (id, reason) of links that lead nowhere.
      others: files that are no audio and no text beside one.
    """

    audio: tuple[tuple[str, Path], ...]
    dead: tuple[tuple[str, str], ...] = ()
    others: tuple[Path, ...] = field(default=())


def find_audio(paths: Sequence[str | os.PathLike]) -> list[tuple[str, Path]]:
    """Returns (utterance id, file) of all audio files given or below folders given, sorted by id; see `scan`."""
    return list(scan(paths).audio)


def scan(paths: Sequence[str | os.PathLike]) -> Found:
    """Looks at files, and at all files below folders; hidden ones are passed over.

    The id of a file is its path below the folder, without suffix, its parts joined by `-`.

    Raises:
      InputError: a path that is not there, or no audio at all.
    """
    audio: list[tuple[str, Path]] = []
    dead: list[tuple[str, str]] = []
    others: list[Path] = []
    for path in map(Path, paths):
        require_followed(path)
        if path.is_dir():
            for file in sorted(_files(path)):
                _sort(file, _name(file.relative_to(path)), audio, dead, others)
        elif path.is_fifo():
            raise InputError.at(path, "is a pipe, and audio is read more than once", "Write it into a file first.")
        elif path.is_file():
            audio.append((_name(Path(path.name)), path))
        elif path.exists():
            raise InputError.at(path, "is a device, wanted a file or folder", "Check the path.")
        else:
            raise InputError.at(path, "no such file or folder", "Check the path.")
    if not audio:
        raise InputError.at(paths[0] if paths else "audio", f"no audio files ({' '.join(SUFFIXES)})", "Check the path.")
    return Found(tuple(sorted(audio)), tuple(dead), tuple(others))


def companions(paths: Sequence[str | os.PathLike]) -> list[Path]:
    """Returns the files of text below folders, whether there is audio beside them or not; see `scan`."""
    folders = [path for path in map(Path, paths) if path.is_dir()]
    return [file for folder in folders for file in sorted(_files(folder)) if file.suffix.lower() in COMPANIONS]


def _files(folder: Path) -> Iterator[Path]:
    """Yields all files below a folder but hidden ones; no folder twice, whatever links lead there."""
    seen: set[tuple[int, int]] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        state = os.stat(root)
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root) / name for name in names if not name.startswith("."))


def _sort(
    file: Path, name: str, audio: list[tuple[str, Path]], dead: list[tuple[str, str]], others: list[Path]
) -> None:
    suffix = file.suffix.lower()
    try:
        is_file, is_link = file.is_file(), file.is_symlink()
    except OSError:
        is_file, is_link = False, True
    if not is_file:
        if is_link and suffix not in COMPANIONS:
            error = InputError.at(file, "is a link that leads nowhere", "Mend or remove it.")
            dead.append((name, str(error)))
        elif not is_link:
            others.append(file)
    elif suffix in SUFFIXES or suffix in MEDIA or (suffix not in COMPANIONS and _is_audio(file)):
        audio.append((name, file))
    elif suffix not in COMPANIONS:
        others.append(file)


def _is_audio(file: Path) -> bool:
    """Tells by its first bytes whether a file of an unknown suffix holds audio."""
    try:
        with open(file, "rb") as stream:
            head = stream.read(12)
    except OSError:
        return False
    return head.startswith(_MAGIC) or head[4:8] == b"ftyp"


def _name(relative: Path) -> str:
    return mended_name("-".join(relative.with_suffix("").parts)) or "audio"


def place_of(file: Path, paths: Sequence[str | os.PathLike]) -> str:
    """Returns where a file lies below the first of the given folders that holds it, without suffix; else its stem."""
    for path in map(Path, paths):
        if path in file.parents:
            return file.relative_to(path).with_suffix("").as_posix()
    return file.stem
