"""Which language model a graph was made with, as its records tell, and what a second pass is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hybrid.base.artifact import content_hash, meta_path, read_meta
from hybrid.formats.openfst import is_fst
from hybrid.graph.decoding import ARPA
from hybrid.lattice.compact import CompactLattice
from lexicon.symbols import SymbolTable

__all__ = ["Rescorer", "SearchLm", "SecondPass", "lm_of_file", "search_lm"]

Rescorer = Callable[[str, CompactLattice], CompactLattice]  # utterance id, determinised lattice → with other scores


@dataclass(frozen=True)
class SearchLm:
    """The language model of a graph.

    Attributes:
      name: of its ARPA file, else of G; empty where no record tells it.
      path: where the ARPA file was when G was made of it.
      wanted: its hash then; empty for a file that a user names.
      exact: scores of the lattices are the model's; else those of the best way that backs off.
    """

    name: str = ""
    path: Path | None = None
    wanted: str = ""
    exact: bool = False

    @property
    def arpa(self) -> Path | None:
        """The ARPA file, where it still is what G was made from."""
        if self.path is None or not self.path.is_file() or (self.wanted and content_hash(self.path) != self.wanted):
            return None
        return self.path


class SecondPass(Protocol):
    """What is done to each determinised lattice; small enough to be sent to workers, equal where its settings are."""

    @property
    def name(self) -> str:
        """Of its model, for every result."""

    def inputs(self) -> dict[str, Any]:
        """Its files by name, for the record of a result; see `artifact.write_meta`."""

    def open(self, words: SymbolTable, search: SearchLm, acoustic_scale: float) -> Rescorer:
        """Loads its model.

        Args:
          words: of the lattices.
          search: the language model whose scores the lattices hold.
          acoustic_scale: of the search.
        """


def search_lm(graph_dir: str | os.PathLike) -> SearchLm:
    """Finds the language model in the graph's folder, or follows the records from the graph over G to it."""
    if (kept := Path(graph_dir, ARPA)).is_file():
        hashes = read_meta(graph_dir).get("files")
        return SearchLm(ARPA, kept, str(hashes.get(ARPA)) if isinstance(hashes, dict) else "none")
    grammar, _ = _made_from(graph_dir, "grammar")
    return SearchLm() if grammar is None else _lm_of_grammar(grammar)


def lm_of_file(path: str | os.PathLike) -> SearchLm:
    """Returns the language model that a graph is composed with while it is searched: an ARPA file, or of a G.fst."""
    return _lm_of_grammar(Path(path)) if is_fst(path) else SearchLm(Path(path).name, Path(path))


def _lm_of_grammar(grammar: Path) -> SearchLm:
    arpa, wanted = _made_from(grammar, "model")
    if arpa is None:
        return SearchLm(grammar.name)
    return SearchLm(arpa.name, arpa, wanted)


def _made_from(artifact: str | os.PathLike, name: str) -> tuple[Path | None, str]:
    """The path of an input of an artifact, and its hash, as the artifact's record has them."""
    if not os.path.exists(artifact):
        return None, ""
    record = read_meta(artifact)
    paths, hashes = record.get("paths"), record.get("inputs")
    place = paths.get(name) if isinstance(paths, dict) else None
    if not isinstance(place, str):
        return None, ""
    known = hashes.get(name) if isinstance(hashes, dict) else None
    return Path(os.path.normpath(meta_path(artifact).parent / place)), str(known)
