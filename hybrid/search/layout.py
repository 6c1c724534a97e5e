"""The search graph of a graph folder, laid out once and mapped: processes share its memory and begin at once.

It lies beside HCLG.fst, or in the user's cache folder where that folder cannot be written, and is found again by the
hashes of HCLG.fst and of the model's transition-ids. Kernels follow its numbers without a look at bounds, so only a
file is mapped that this user made and nobody changed (`integrity.vouch`); any other is made anew from HCLG.fst, which
is checked. Large pages are asked for, which Linux gives to files since it keeps them in large pieces: a search meets
thousands of rows in a frame, each in a small page of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.cache import cache_folder
from hybrid.base.errors import HybridError
from hybrid.base.integrity import hash_of, vouch, vouched
from hybrid.base.log import get_logger
from hybrid.formats.fst_arrays import FstArrays
from hybrid.formats.mapped_rows import MappedRows
from hybrid.graph.decoding import DecodingGraph
from hybrid.hmm import TransitionModel
from hybrid.ids import check_range
from hybrid.search.graph import SearchGraph
from hybrid.search.splice import closed

__all__ = ["load_search_graph", "with_words"]

VERSION = "1"  # of the form of these files
NAME = ".cached.HCLG.search"
HEAD = 4096  # bytes in which the head stands, a line of JSON
KEPT = 4  # files in the cache folder; beyond, the oldest go
ROWS = {"bounds": ("<i4", 2), "arcs": ("<i4", 3), "transition_ids": ("<i4", 1), "word_ids": ("<i4", 1),
        "final_scores": ("<f4", 1)}  # fmt: skip

logger = get_logger(__name__)


def load_search_graph(graph: DecodingGraph, model: TransitionModel, place: object = "graph") -> SearchGraph:
    """Returns a graph laid out for token passing, mapped from a file where it comes from a folder.

    Args:
      place: names the graph in errors.

    Raises:
      InputError, MismatchError: as `SearchGraph.from_fst`, and where HCLG.fst is not the one that was compiled.
    """
    if graph.arrays is not None or graph.path is None:
        return SearchGraph.from_fst(_plain(graph, place), model.pdf_ids, model.num_pdfs, place)
    key = _key(graph, model)
    places = list(_places(graph.path, key))
    for file in places:
        found = _mapped(file, key)
        if found is not None:
            return found
    made = SearchGraph.from_fst(_plain(graph, place), model.pdf_ids, model.num_pdfs, place)
    for file in places:
        if _write(file, made, key):
            return _mapped(file, key) or made
    return made


def _plain(graph: DecodingGraph, place: object) -> FstArrays:
    """Returns HCLG without labels of slots."""
    return with_words(graph, place) if graph.slots is None else closed(graph.fst, graph.slots)


def with_words(graph: DecodingGraph, place: object) -> FstArrays:
    """Returns HCLG of a graph without slots, whose words have names.

    Raises:
      MismatchError: a word_id that words.txt lacks.
    """
    cure = "Use the words.txt that HCLG.fst was compiled with."
    check_range("word_id", graph.fst.olabels, 0, graph.words.max_id, place, cure)
    return graph.fst


def _key(graph: DecodingGraph, model: TransitionModel) -> str:
    """Returns what the layout depends on."""
    source = hash_of(graph.checked_fst)
    pdfs = hashlib.sha256(np.ascontiguousarray(model.pdf_ids, "<i4").tobytes())
    return hashlib.sha256(f"{VERSION} {source} {pdfs.hexdigest()} {model.num_pdfs}".encode()).hexdigest()


def _places(folder: Path, key: str) -> Iterator[Path]:
    """Yields where the file may lie, nearest first."""
    yield folder / NAME
    cache = cache_folder("graphs")
    if cache.path is not None:
        yield cache.path / f"{key[:32]}.search"


def _mapped(file: Path, key: str) -> SearchGraph | None:
    """Returns the graph in a file, None where this user did not make it, or it is another graph's."""
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o022 or not vouched(descriptor, key):
            return None
        # Private: the arrays may be written, as kernels want them, and still share their memory until somebody does.
        memory = mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # a kernel without
                memory.madvise(mmap.MADV_HUGEPAGE)
        head = json.loads(memory[:HEAD].rstrip(b"\0"))
        arrays, begin, begins = {}, HEAD, {}
        for name, (kind, columns) in ROWS.items():
            flat = np.frombuffer(memory, kind, head["rows"][name] * columns, begin)
            arrays[name] = flat.reshape(-1, columns) if columns > 1 else flat
            begins[name] = begin
            begin += -(-flat.nbytes // HEAD) * HEAD
        return SearchGraph(head["start"], head["num_pdfs"], **arrays, source=MappedRows(descriptor, begins))
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)


def _write(file: Path, graph: SearchGraph, key: str) -> bool:
    """Writes a graph; tells whether it can be mapped from there by other processes too."""
    if cache_folder("checked").path is None or not os.access(file.parent, os.W_OK | os.X_OK):
        return False
    rows = {name: len(getattr(graph, name)) for name in ROWS}
    head = json.dumps({"start": graph.start, "num_pdfs": graph.num_pdfs, "rows": rows}).encode()
    try:
        with atomic_path(file) as temporary, open(temporary, "wb") as stream:
            stream.write(head.ljust(HEAD, b"\0"))
            for name, (kind, _) in ROWS.items():
                data = np.ascontiguousarray(getattr(graph, name), kind)
                stream.write(data.data)
                stream.write(b"\0" * (-data.nbytes % HEAD))
        os.chmod(file, stat.S_IMODE(os.stat(file).st_mode) & ~0o022)
        if file.name != NAME:
            _make_room(file)
    except (HybridError, OSError) as error:
        logger.debug("%s", error)  # a full disk: every process lays it out for itself
        return False
    return vouch(file, key)


def _make_room(newest: Path) -> None:
    others = sorted((f for f in newest.parent.glob("*.search") if f != newest), key=lambda f: f.stat().st_mtime)
    for file in others[: max(0, len(others) - KEPT + 1)]:
        file.unlink(missing_ok=True)
