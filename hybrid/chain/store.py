"""Numerators of a training set on disk: parts of some hundred utterances, mapped into memory, read by utterance.

| file of the folder | holds |
|---|---|
| `parts/00000.safetensors` | numerators of utterances, one after another |
| `parts/00000.safetensors.meta.json` | that this part is finished, and what it was made from |
| `config.yaml` | frame rate and tolerance |
| `failed.txt` | utterances without a numerator, and why |
| `meta.json` | written last |
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.agreement import Part, part_of, require_fit
from hybrid.base.artifact import read_meta, write_meta
from hybrid.base.config import read_config
from hybrid.base.errors import HybridError, InputError
from hybrid.base.integrity import check
from hybrid.base.reading import parse_json, reading, require_followed
from hybrid.chain.config import SupervisionConfig
from hybrid.chain.numerator import COLUMNS, Numerator
from hybrid.formats.tensors import load_arrays, map_arrays, save_arrays

__all__ = ["Supervisions", "load_failures", "part_is_made", "save_part"]

CURE = "Run `hybrid nnet chain-sup` again with the same arguments; it goes on where it stopped."
MAX_PARTS = 99_999
SPLITS = ("arc_splits", "final_splits")


def save_part(path: Path, items: Sequence[tuple[str, Numerator]], failures: Mapping[str, str], identity: str) -> None:
    """Saves the numerators of some utterances, and why others have none.

    Args:
      identity: a hash of all that they were made from.
    """
    numerators = [numerator for _, numerator in items]
    arrays = {
        "ids": np.frombuffer("\n".join(utterance for utterance, _ in items).encode(), np.uint8),
        "num_frames": np.array([n.num_frames for n in numerators], np.int32),
        "arc_splits": np.cumsum([0] + [len(n.arcs) for n in numerators]),
        "final_splits": np.cumsum([0] + [len(n.finals) for n in numerators]),
        "arcs": np.concatenate([n.arcs for n in numerators] or [np.zeros((0, len(COLUMNS)), np.int32)]),
        "finals": np.concatenate([n.finals for n in numerators] or [np.zeros(0, np.int32)]),
    }
    save_arrays(path, arrays, {"failures": json.dumps(dict(failures))})
    write_meta(path, "supervision-part", facts={"identity": identity, "utterances": len(items)})


def part_is_made(path: Path, identity: str) -> bool:
    """Tells whether a part of just this identity lies there, whole."""
    try:
        if not path.exists() or read_meta(path).get("facts", {}).get("identity") != identity:
            return False
        check(path)
        return True
    except HybridError:
        return False


def load_failures(path: Path) -> dict[str, str]:
    """Returns the utterances of a part that have no numerator, and why."""
    _, metadata = load_arrays(path)
    with reading(path, "part of a supervision", CURE):
        return dict(parse_json(metadata["failures"], path))


class Supervisions:
    """The numerators of a set; immutable, cheap to pickle.

    Attributes:
      path: its folder.
      config: frame rate and tolerance.
      timed: whether phones have times; else a numerator is of whole utterances only.
      part: what models must agree with.
    """

    def __init__(self, path: Path, config: SupervisionConfig, timed: bool, parts: Sequence[str], part: Part) -> None:
        self.path, self.config, self.timed, self.part = path, config, timed, part
        self._parts = tuple(parts)

    @classmethod
    def open(cls, path: str | os.PathLike, model: Part | None = None) -> Supervisions:
        """Opens the supervision at `path`, and checks that it was made with a model's tree and topology.

        Raises:
          InputError: none, not finished, or damaged.
          MismatchError: made with another tree or topology.
        """
        path = Path(path)
        require_followed(path)
        record = read_meta(path) if path.is_dir() else {}
        if record.get("kind") != "supervision":
            what = "holds no finished supervision" if path.is_dir() else "is no folder; wanted a supervision"
            raise InputError.at(path, what, CURE)
        part = part_of(path, "supervision")
        if model is not None:
            require_fit(part, model)
        check(path / "config.yaml")
        config = read_config(SupervisionConfig, path / "config.yaml")
        with reading(path / "meta.json", "record of a supervision", CURE):
            facts = record["facts"]
            count, timed = int(facts["parts"]), bool(facts["timed"])
            if not 0 <= count <= MAX_PARTS:
                raise ValueError(f"{count} parts")
        return cls(path, config, timed, [f"parts/{number:05d}.safetensors" for number in range(count)], part)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_open")}

    @cached_property
    def _opened(self) -> list[dict[str, np.ndarray]]:
        """The arrays of every part, mapped."""
        found = []
        for name in self._parts:
            file = self.path / name
            check(file, cached=True)
            arrays, _ = map_arrays(file)
            if set(arrays) != {"ids", "num_frames", "arcs", "finals", *SPLITS}:
                raise InputError.at(file, "does not hold numerators", CURE)
            arrays |= {name: np.array(arrays[name]) for name in SPLITS}
            found.append(arrays)
        return found

    @cached_property
    def _open_index(self) -> dict[str, tuple[int, int]]:
        """Utterance → part and place in it."""
        index: dict[str, tuple[int, int]] = {}
        for number, arrays in enumerate(self._opened):
            with reading(self.path / self._parts[number], "supervision", CURE):
                text = arrays["ids"].tobytes().decode()
            index |= {utterance: (number, place) for place, utterance in enumerate(text.split("\n")) if text}
        return index

    @property
    def ids(self) -> list[str]:
        """Utterances with a numerator, in the order of the folder."""
        return list(self._open_index)

    def __len__(self) -> int:
        return len(self._open_index)

    def __contains__(self, utterance: object) -> bool:
        return utterance in self._open_index

    def __getitem__(self, utterance: str) -> Numerator:
        """Reads the numerator of an utterance.

        Raises:
          KeyError: it has none.
          InputError: the file is damaged.
        """
        number, place = self._open_index[utterance]
        arrays = self._opened[number]
        with reading(self.path / self._parts[number], "supervision", CURE):
            arcs, finals = (
                np.array(arrays[name][arrays[splits][place] : arrays[splits][place + 1]])
                for name, splits in (("arcs", "arc_splits"), ("finals", "final_splits"))
            )
            return Numerator(arcs, finals, int(arrays["num_frames"][place]))
