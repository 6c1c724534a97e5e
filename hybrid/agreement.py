"""What artifacts must agree in where they meet: one table, and the one function that looks into it.

An artifact carries the hashes of what it was made from (`inputs` of its meta.json). Where two of them meet, what both
know must be the same version; what one of them does not know (Kaldi's folders, older versions) passes. Phone tables
are compared phone by phone, because a table may lack phones of a model (the lang folder of a small domain) and because
disambiguation symbols depend on the homophones of a lexicon.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hybrid.base.artifact import content_hash, meta_path, read_meta, require_same_hash
from hybrid.base.errors import MismatchError, quote
from hybrid.base.integrity import recorded_hash
from lexicon.symbols import SymbolTable

__all__ = ["AGREE", "Part", "lang_part", "part_of", "require_fit", "scale_differences", "words_part"]

_LANG = "Use the lang folder that the model was trained with, or one made with `hybrid lang prepare --phones`."
_GRAPH = "Compile the graph again: `hybrid graph compile --model {second} …`."

# (kind, kind) → names of what both must have the same version of, and the cure.
AGREE: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("lang", "model"): (("phones",), _LANG),
    ("graph", "model"): (("tree", "topo", "phones"), _GRAPH),
    ("graph", "lang"): (("words",), "Give the lang folder that the graph was compiled with."),
    ("G", "lang"): (("words",), "Make G again: `hybrid lm fst … --lang {second}`."),
    ("G", "graph"): (("words",), "Make G again with the words.txt of {second}."),
    ("lattices", "words"): (("words",), "Give the words.txt of the graph that these lattices were made with."),
    ("lattices", "model"): (("tree", "topo"), "Decode again with this model."),
    ("alignments", "model"): (("tree", "topo"), "Align again with this model."),
    ("training-graphs", "model"): (("tree", "topo"), "Compile the training graphs again."),
    ("denominator", "model"): (("tree", "topo"), "Make it again: `hybrid nnet chain-den --tree {second} …`."),
    ("supervision", "model"): (("tree", "topo"), "Make it again: `hybrid nnet chain-sup --tree {second} …`."),
    ("transforms", "model"): (("tree",), "Estimate them again with this model."),
    ("basis", "model"): (("tree",), "Train the model again."),
    ("model", "model"): (("phones",), "Give a model of the same phones."),
    ("graph", "calibration"): (("words",), "Train the calibration again: `hybrid confidence train`."),
    ("scores", "model"): (("tree",), "Write the scores again with this model."),
}
NAMES = {"tree": "the tree", "topo": "the topo", "words": "words.txt"}


@dataclass(frozen=True, eq=False)
class Part:
    """One of the artifacts that meet.

    Attributes:
      kind: its name in `AGREE`.
      path: its place, for errors.
      hashes: what it was made from, by name.
      phones: its phone table, where it has one.
    """

    kind: str
    path: object
    hashes: Mapping[str, str] = field(default_factory=dict)
    phones: Path | None = None


def part_of(path: str | os.PathLike, kind: str) -> Part:
    """Returns an artifact of a kind by its record; one without a record knows nothing.

    Args:
      path: a folder, or a file with NAME.meta.json beside it or in the folder of its artifact.
    """
    path = Path(path)
    owner = path
    if path.is_file() and not meta_path(path).exists():
        found = recorded_hash(path)
        owner = found[0].parent if found else path
    record = read_meta(owner)
    facts = _hashes(record.get("facts"))  # tree and topo of alignments
    hashes = {**_hashes(_dict(record.get("facts")).get("hashes")), **facts, **_hashes(record.get("inputs"))}
    phones = owner / "phones.txt"
    return Part(kind, path, hashes, phones if phones.exists() else None)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _hashes(value: object) -> dict[str, str]:
    return {name: found for name, found in _dict(value).items() if isinstance(found, str) and found}


def lang_part(path: str | os.PathLike) -> Part:
    """Returns a lang folder as it is now."""
    folder = Path(path)
    return Part("lang", folder, {"words": content_hash(folder / "words.txt")}, folder / "phones.txt")


def words_part(path: str | os.PathLike) -> Part:
    """Returns a word table as it is now."""
    return Part("words", path, {"words": content_hash(path)})


def require_fit(first: Part, second: Part) -> None:
    """Checks that two artifacts belong together, as `AGREE` says.

    Raises:
      MismatchError: both are named, and the cure.
      KeyError: the table does not know that these kinds meet.
    """
    names, cure = AGREE[first.kind, second.kind]
    cure = cure.format(first=first.path, second=second.path)
    for name in names:
        if name == "phones":
            _require_phones(first, second, cure)
            continue
        pair = [(str(part.path), part.hashes.get(name)) for part in (first, second)]
        require_same_hash(NAMES[name], pair[0], pair[1], cure)


def scale_differences(graph: Mapping[str, float], model: object) -> list[str]:
    """Returns in words which of a graph's recorded scales are not those that the acoustic model states."""
    pairs = [(name, value, float(getattr(model, name))) for name, value in graph.items()]
    return [f"{name} {value:g}, the model's is {own:g}" for name, value, own in pairs if value != own]


def _require_phones(part: Part, model: Part, cure: str) -> None:
    """Checks that every phone of a table has the number that the model knows it by; disambiguation symbols are free."""
    if part.phones is None or model.phones is None:
        return
    theirs, ours = SymbolTable.read(part.phones), SymbolTable.read(model.phones)
    for symbol, number in zip(theirs.symbols, theirs.ids):
        if symbol.startswith("#") or ours.get(symbol) == number:
            continue
        found = f"number {ours[symbol]} in" if symbol in ours else "absent from"
        raise MismatchError(
            f"{part.phones}: phone '{quote(symbol)}' is number {number}, but {found} {model.phones}. {cure}"
        )
