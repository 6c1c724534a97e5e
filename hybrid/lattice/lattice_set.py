"""A set of lattices as a value, with what they share; its folder form is what `hybrid decode` writes.

lat.1.gz, lat.2.gz, …   Kaldi archives of the lattices
decode.json             what they share: acoustic scale, frame shift, subsampling, boundaries
meta.json               hashes of the words, the tree and the topology that their ids belong to
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybrid.agreement import part_of
from hybrid.base.artifact import atomic_path, meta_path, read_meta, write_meta
from hybrid.base.content import ByContent
from hybrid.base.disk import make_folder, remove_mark
from hybrid.base.doors import writes_into
from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import recorded_hash
from hybrid.base.reading import read_json
from hybrid.lattice.archive import check_words, read_lattice_folder, write_lattices
from hybrid.lattice.lattice import Lattice

if TYPE_CHECKING:
    from lexicon.symbols import SymbolTable

__all__ = ["NUMBERS", "LatticeSet", "SharedFacts", "shared_facts"]

CURE = "Make the lattices again; the file may have been cut short or be something else."
NUMBERS = ("acoustic_scale", "frame_shift", "subsampling_factor")
IDENTITIES = ("words", "tree", "topo", "model", "graph")


@dataclass(frozen=True, eq=False)
class SharedFacts(ByContent):
    """What the lattices of a set share; None or empty where nobody told.

    Attributes:
      acoustic_scale: of the search; the lattices themselves are unscaled.
      frame_shift: seconds per frame of the lattices.
      subsampling_factor: frames of features in each of them.
      boundaries: when their frames begin, see `hybrid.timing.frame_times`.
      boundary_lag: seconds from a frame's number × shift to its boundary in the middle between windows.
      identities: sha256 by name, of the words, tree, topology, model and graph that their ids belong to.
      search_lm, second_lm: names of the language models of the graph and of a second pass.
    """

    acoustic_scale: float | None = None
    frame_shift: float | None = None
    subsampling_factor: int | None = None
    boundaries: str = ""
    identities: Mapping[str, str] = field(default_factory=dict)
    search_lm: str = ""
    second_lm: str = ""
    boundary_lag: float | None = None

    def __post_init__(self) -> None:
        for name in NUMBERS:
            value = getattr(self, name)
            good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e6
            if value is not None and not good:
                raise ValueError(f"{name} is '{quote(value)}', wanted a number above 0")
        lag = self.boundary_lag
        if lag is not None and not (isinstance(lag, (int, float)) and abs(lag) < 10):
            raise ValueError(f"boundary_lag is '{quote(lag)}', wanted seconds below 10")
        for name in ("boundaries", "search_lm", "second_lm"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is '{quote(getattr(self, name))}', wanted text")


def shared_facts(path: str | os.PathLike) -> SharedFacts:
    """Reads what the lattices of a folder, of a file of it, or of an archive with its `.meta.json`, share.

    Raises:
      InputError: decode.json or the record is damaged.
    """
    file = Path(path) / "decode.json"
    if Path(path).is_file() and not meta_path(path).exists() and (found := recorded_hash(path)) is not None:
        file = found[0].parent / "decode.json"  # one of the files of a folder
    record: Any = read_json(file, CURE) if file.exists() else {}
    if not file.exists() and not Path(path).is_dir():
        file, record = meta_path(path), read_meta(path).get("facts", {})
    known = part_of(path, "lattices").hashes
    names = (*NUMBERS, "boundaries", "search_lm", "second_lm", "boundary_lag")
    record = record if isinstance(record, dict) else {"acoustic_scale": record}
    values = {name: record[name] for name in names if record.get(name) is not None}
    try:
        return SharedFacts(**values, identities={name: known[name] for name in IDENTITIES if name in known})
    except ValueError as error:
        raise InputError.at(file, str(error), CURE) from error


@dataclass(frozen=True, eq=False)
class LatticeSet(ByContent):
    """Lattices by utterance id.

    Attributes:
      lattices: in the order in which they are written.
      shared: scale, frame shift, subsampling, identities.
      words: the word table, where it is at hand.
    """

    lattices: Mapping[str, Lattice]
    shared: SharedFacts = field(default_factory=SharedFacts)
    words: SymbolTable | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.lattices)

    def __iter__(self) -> Iterator[str]:
        return iter(self.lattices)

    def __getitem__(self, utterance: str) -> Lattice:
        return self.lattices[utterance]

    def __repr__(self) -> str:
        frames = sum(lattice.num_frames for lattice in self.lattices.values())
        seconds = f", {frames * self.shared.frame_shift:.1f} s" if self.shared.frame_shift else ""
        return f"<LatticeSet: {len(self)} lattices, {frames} frames{seconds}>"

    def items(self) -> Iterable[tuple[str, Lattice]]:
        """Returns (utterance id, lattice) of each."""
        return self.lattices.items()

    def map(self, function: Callable[[Lattice], Lattice]) -> LatticeSet:
        """Returns the set with every lattice changed by a function, such as `prune` with its beam."""
        return replace(self, lattices={utterance: function(lattice) for utterance, lattice in self.items()})

    @classmethod
    def load(cls, path: str | os.PathLike, words: str | os.PathLike | None = None) -> LatticeSet:
        """Reads a folder that `hybrid decode` or `save` wrote, or one archive.

        Args:
          words: words.txt of the graph.

        Raises:
          InputError: nothing there, or damaged; an utterance that stands there twice.
          MismatchError: another word table than the one of the graph.
        """
        table = None
        if words is not None:
            from lexicon.symbols import SymbolTable

            check_words(path, words)
            table = SymbolTable.read(words)
        found: dict[str, Lattice] = {}
        for utterance, lattice in read_lattice_folder(path):
            if utterance in found:
                raise InputError.at(path, f"utterance '{quote(utterance)}' stands there twice", CURE)
            found[utterance] = lattice
        return cls(found, shared_facts(path), table)

    @writes_into("lattices", argument="folder")
    def save(self, folder: str | os.PathLike, compact: bool = False) -> None:
        """Writes the folder form into a new or empty folder, or one of lattices.

        Raises:
          LatticeError: scores that Kaldi's archives have no column for; see `Lattice.folded`.
        """
        out = make_folder(Path(folder))
        remove_mark(out)
        write_lattices(out / "lat.1.gz", self.items(), compact)
        shared = self.shared
        record = {
            "acoustic_scale": shared.acoustic_scale,
            "frame_shift": shared.frame_shift,
            "subsampling_factor": shared.subsampling_factor,
            "boundaries": shared.boundaries,
            "search_lm": shared.search_lm,
            "second_lm": shared.second_lm,
            **({} if shared.boundary_lag is None else {"boundary_lag": shared.boundary_lag}),
        }
        with atomic_path(out / "decode.json") as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        facts = {"lattices": len(self)}
        write_meta(out, "lattices", {}, dict(shared.identities), facts, ["decode.json", "lat.1.gz"])
