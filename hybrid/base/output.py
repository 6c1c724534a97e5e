"""Where results may be written: into what is new, empty, or was made by the same kind of command before.

A folder says by `meta.json` what it is, and while a command works in it by `.unfinished`: kind, command, process and
host. That file is locked (flock) as long as the command lives, so that a second one is told instead of mixing its
files in; it stays after a kill, and lets the same kind of command go on there.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hybrid.base.disk import no_room
from hybrid.base.errors import InputError, quote
from hybrid.base.locks import MARK, SHOWN, is_ours, read_record, require_free, temporary_name
from hybrid.base.reading import why

__all__ = ["FAILED_NOW", "check_file", "check_folder", "check_place", "kind_of", "real_path", "require_kind"]

PathLike = str | os.PathLike

# Kinds of folders that results are put into: graphs into a model's, decodings into a graph's, scores into a decoding's,
# features into a set's. A record names what is their own; what lies in other folders is taken for speech, text, ….
HOLDERS = ("data", "gmm", "graph", "lattices", "nnet")
FAILED_NOW = "failed.new.txt"  # of a run whose results are not put in the place of better ones


def _at(path: PathLike, message: str, option: str) -> InputError:
    return InputError.at(quote(path, SHOWN), message, f"Choose another {option}.")


def real_path(path: PathLike, option: str = "--out-dir") -> Path:
    """Follows links to where an output is to stand, whether it is there or not.

    Raises:
      InputError: a name that no file can have, a circle of links, a file where a folder is wanted above it.
    """
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _at(path, "is a name that is not UTF-8 text", option) from error
    try:
        os.stat(path)
    except FileNotFoundError:
        pass
    except NotADirectoryError as error:
        above = next(p for p in Path(path).parents if p.exists())
        raise _at(path, f"cannot be made, since {quote(above, SHOWN)} is a file", option) from error
    except (OSError, ValueError) as error:
        reason = why(error) if isinstance(error, OSError) else str(error)
        raise _at(path, f"cannot be used ({reason})", option) from error
    return Path(os.path.realpath(path))


def _require_writable(path: PathLike, place: Path, option: str) -> None:
    """Refuses a folder, there or to be made, in which nothing can be made: tries it, and leaves nothing there."""
    while not place.exists() and place.parent != place:
        place = place.parent
    if not place.is_dir():
        raise _at(path, f"cannot be made, since {quote(place, SHOWN)} is a file", option)
    probe = place / temporary_name("probe")
    try:
        os.mkdir(probe)
        os.rmdir(probe)
    except OSError as error:
        raise no_room(error, path, place, option) from error


def kind_of(path: PathLike) -> str:
    """Returns the kind of an artifact, finished or not, of a folder or a file; empty where nothing tells it."""
    path = Path(path)
    if not path.is_dir():
        files = [path.with_name(path.name + ".meta.json")]
    else:
        files = [path / "meta.json", path / MARK]
    for record in map(read_record, files):
        if isinstance(record.get("kind"), str) and ("versions" in record or "pid" in record):
            return record["kind"]
    return ""


def require_kind(path: PathLike, folder: Path, kind: str, option: str) -> None:
    """Raises InputError unless a folder is empty or an output of a kind."""
    found, others = kind_of(folder), sorted(p.name for p in folder.iterdir() if not is_ours(p))
    if found == kind or not others or _is_left_over(folder):
        return
    wanted = f"wanted a new folder, an empty one, or one that holds an earlier '{kind}'"
    if found:
        raise _at(path, f"holds another artifact ('{quote(found)}'); {wanted}", option)
    shown = f"'{quote(others[0])}'" + (f" and {len(others) - 1} more" if len(others) > 1 else "")
    raise _at(path, f"is a folder that this toolkit did not make ({shown} in it); {wanted}", option)


def _is_left_over(folder: Path) -> bool:
    """Tells whether a run of an older version left a folder: an empty mark beside nothing but states of work.

    Older versions emptied the mark before they wrote it, so that a full disk made the folder nobody's.
    """
    mark = folder / MARK
    if not mark.is_file() or mark.stat().st_size:
        return False
    rest = [entry for entry in folder.iterdir() if not is_ours(entry) and entry.name != ".parts"]
    if any(entry.name != "work" or not entry.is_dir() for entry in rest):
        return False
    return all(is_ours(p) or p.name.endswith("state.safetensors") for entry in rest for p in entry.iterdir())


def _require_no_input(
    path: PathLike, folder: Path, inputs: Iterable[PathLike | None], whole: bool, option: str
) -> None:
    """Refuses an output that is an input, or would be replaced with an input in it."""
    for each in inputs:
        if each is None or not os.path.exists(each):
            continue
        real = Path(os.path.realpath(each))
        if real == folder:
            raise _at(path, "is also an input; it would be overwritten", option)
        if whole and folder in real.parents:
            raise _at(path, f"holds the input {quote(each, SHOWN)}, which would be removed with it", option)


def _require_apart(path: PathLike, folder: Path, inputs: Iterable[PathLike | None], option: str) -> None:
    """Refuses a folder that lies in one that is read, where the next run would take it for a part of that."""
    for each in inputs:
        if each is None or (real := Path(os.path.realpath(each))) not in folder.parents:
            continue
        if kind_of(real) not in HOLDERS and not (real / "cuts.jsonl.gz").exists():  # of a set without a record
            raise _at(path, f"lies in the input {quote(each, SHOWN)}, all of which is read", option)


def _require_nothing_more(path: PathLike, folder: Path, kind: str, option: str) -> None:
    """Refuses to replace an output in which something else lies: another artifact, or a file not recorded."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not is_ours(entry) and kind_of(entry):
            raise _at(
                path, f"is an earlier '{kind}', but holds '{quote(entry.name)}' ('{quote(kind_of(entry))}') too, which "
                "would be removed with it", option,
            )  # fmt: skip
    recorded = read_record(folder / "meta.json").get("files")
    if not isinstance(recorded, dict):  # of an older version
        return
    for name in _plain_files(folder):
        if name not in recorded:
            raise _at(
                path, f"is an earlier '{kind}', but holds '{quote(name)}' too, which this toolkit did not make and "
                "which would be removed with it", option,
            )  # fmt: skip


def _plain_files(folder: Path) -> Iterator[str]:
    """Yields the files below a folder that a user may have put there, relative to it."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_ours(Path(name)))
        for file in (Path(root) / name for name in sorted(names)):
            if file.name not in ("meta.json", FAILED_NOW) and not is_ours(file):
                yield file.relative_to(folder).as_posix()


def check_folder(
    path: PathLike, kind: str, inputs: Iterable[PathLike | None] = (), option: str = "--out-dir", whole: bool = False
) -> Path:
    """Decides whether results of a kind may go into a folder: new, empty, or an earlier output of that kind.

    Args:
      kind: as in `meta.json`.
      inputs: what the command reads; None is passed over. The output may lie in none of them but `HOLDERS`.
      option: how the user names the folder.
      whole: the folder is replaced with everything in it, not written into.

    Returns:
      The folder behind all links; it need not exist.

    Raises:
      InputError: it may not be used; nothing was touched.
      HybridError: another run is writing to it.
    """
    folder = real_path(path, option)
    if folder.exists() and not folder.is_dir():
        raise _at(path, "is a file, wanted a folder", option)
    if whole and os.path.ismount(folder):
        raise _at(path, "is where a disk is mounted and cannot be replaced as a whole", f"{option}, a folder in it")
    inputs = list(inputs)
    _require_no_input(path, folder, inputs, whole, option)
    _require_apart(path, folder, inputs, option)
    if folder.is_dir():
        try:
            require_kind(path, folder, kind, option)
            if whole:
                _require_nothing_more(path, folder, kind, option)
        except PermissionError as error:
            raise _at(path, f"cannot be read ({why(error)})", option) from error
    _require_writable(path, folder.parent if whole else folder, option)
    require_free(path, folder.with_name(f".lock.{folder.name}") if whole else folder / MARK, option)
    return folder


def check_place(path: PathLike, option: str = "--out-dir") -> Path:
    """Checks a folder that only gets entries of its own and may hold anything else.

    Raises:
      InputError: it is a file or cannot be written.
    """
    folder = real_path(path, option)
    if folder.exists() and not folder.is_dir():
        raise _at(path, "is a file, wanted a folder", option)
    _require_writable(path, folder, option)
    return folder


def _is_kaldi_text(head: bytes) -> bool:
    """A text archive of matrices, vectors or lattices."""
    return re.match(rb"\S+ +\[|\S+( +-?\d+)+ *\n|\S+ *\n\d+[\t ]", head) is not None


# How an earlier output without meta.json is known by its first bytes; other kinds only by their meta.json.
FORMATS: dict[str, Callable[[bytes], bool]] = {
    "arpa": lambda head: b"\\data\\" in head,
    "g2p": lambda head: b"\\data\\" in head,
    "G": lambda head: head.startswith(b"\xd6\xfd\xb2\x7e"),
    "archive": lambda head: b"\0B" in head or _is_kaldi_text(head),
    "scores": lambda head: b"\0B" in head or _is_kaldi_text(head),
    "scp": lambda head: re.match(rb"\S+ [^\n]+:\d+\n", head) is not None,
    "table": lambda head: b"\t" in head.split(b"\n")[0],
    "mdl": lambda head: head.startswith(b"<TransitionModel>"),
    "wav": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE",
    "why": lambda head: head.startswith(b'{"utterance"'),
    "svg": lambda head: b"<svg" in head,
}


def _head(file: Path) -> bytes:
    with open(file, "rb") as stream:
        head = stream.read(4096)
    if head[:2] == b"\x1f\x8b":
        try:
            with gzip.open(file) as stream:  # type: ignore[assignment]
                return stream.read(4096)
        except (OSError, EOFError, zlib.error):
            return b""
    return head


def check_file(
    path: PathLike, kind: str, inputs: Iterable[PathLike | None] = (), option: str = "--out", lock: bool = True
) -> Path:
    """Decides whether a result may become a file: new, empty, or one of the same kind or format that is replaced.

    Args:
      kind: as in `NAME.meta.json`, or one of `FORMATS`.
      inputs, option: see `check_folder`.
      lock: look whether another run writes it.

    Returns:
      The file behind all links.

    Raises:
      InputError: it may not be used; nothing was touched.
      HybridError: another run is writing to it.
    """
    file = real_path(path, option)
    if file.exists():
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            raise _at(path, f"is {'a folder' if stat.S_ISDIR(mode) else 'a device or pipe'}, wanted a file", option)
        _require_no_input(path, file, inputs, False, option)
        try:
            found = kind_of(file)
            ours = found == kind or not file.stat().st_size or (not found and FORMATS.get(kind, _never)(_head(file)))
        except PermissionError as error:
            raise _at(path, f"cannot be read ({why(error)})", option) from error
        if not ours:
            what = f"is another artifact ('{quote(found)}')" if found else "is a file of another kind"
            raise _at(path, f"{what}; wanted a new file, or an earlier '{kind}' to replace", option)
    _require_writable(path, file.parent, option)
    if lock:
        require_free(path, file.with_name(f".lock.{file.name}"), option)
    return file


def _never(head: bytes) -> bool:
    return False
