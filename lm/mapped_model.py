"""N-gram models mapped into memory: a file that is opened at once, whatever its size, and read where it is asked.

The file holds the automaton of a model as it scores (`BackoffAutomaton`) and its words; many processes share one copy.
An ARPA file is parsed and sorted in minutes where it has 1e8 n-grams; this is done once by `hybrid lm map`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import InputError
from hybrid.base.integrity import check
from hybrid.base.reading import open_bytes, reading
from hybrid.formats.tensors import map_arrays, save_arrays
from lm.arpa import read_arpa
from lm.ngram import BackoffAutomaton, NgramModel
from lm.word_table import Vocabulary

__all__ = ["KIND", "MappedModel", "is_mapped", "read_mapped", "read_scorer", "write_mapped"]

KIND, CURE = "ngram-automaton", "Make it again with `hybrid lm map`."
ARRAYS = {"children": np.int32, "words": np.int32, "log_probs": np.float32, "backoffs": np.float32, "links": np.int32}


@dataclass(frozen=True, eq=False)
class MappedModel(ByContent):
    """What scores words: an `NgramModel` without its n-grams as such.

    Attributes:
      order: length of the longest n-grams.
    """

    vocabulary: Vocabulary
    automaton: BackoffAutomaton
    order: int


def write_mapped(path: str | os.PathLike, model: NgramModel) -> None:
    """Writes a model so that it can be mapped."""
    blob, offsets = model.vocabulary.blob
    arrays = {name: getattr(model.automaton, name) for name in ARRAYS} | {"blob": blob, "offsets": offsets}
    save_arrays(path, arrays, {"kind": KIND, "order": str(model.order), "highest": str(model.automaton.highest)})


def is_mapped(path: str | os.PathLike) -> bool:
    """Tells by its first bytes whether a file may be one of `write_mapped`; an ARPA file is text."""
    with open_bytes(path) as stream:
        start = stream.read(9)
    return len(start) == 9 and start[8:9] == b"{" and b"\0" in start[:8]


def read_mapped(path: str | os.PathLike) -> MappedModel:
    """Opens what `write_mapped` wrote; its arrays stay on the disk until they are asked.

    What the scoring relies on is looked at once: every number leads to a place that is there.

    Raises:
      InputError: it is damaged or something else.
      MismatchError: it is not the file that its record tells of.
    """
    check(path, cached=True)
    arrays, facts = map_arrays(path)
    with reading(path, "n-gram model", CURE):
        if facts.get("kind") != KIND:
            raise ValueError(f"a file of kind {facts.get('kind')!r}")
        found = {name: arrays[name].view(np.ndarray) for name in ARRAYS}
        order, highest = int(facts["order"]), int(facts["highest"])
        offsets, blob = np.asarray(arrays["offsets"]), np.asarray(arrays["blob"]).tobytes()
        vocabulary = Vocabulary(tuple(blob[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist())))
    fault = _fault(found, highest, order, len(vocabulary))
    if fault:
        raise InputError.at(path, f"holds no usable n-gram model ({fault})", CURE)
    return MappedModel(vocabulary, BackoffAutomaton(**found, highest=highest), order)


def _fault(arrays: dict[str, np.ndarray], highest: int, order: int, words: int) -> str:
    """Says what would lead the scoring out of the arrays; nothing where all is well."""
    nodes = len(arrays["words"])
    for name, kind in ARRAYS.items():
        wanted = nodes + 1 if name == "children" else nodes
        if arrays[name].dtype != kind or arrays[name].shape != (wanted,):
            return f"{name} is no {np.dtype(kind)} of {wanted}"
    children, links = arrays["children"], arrays["links"]
    if not 1 <= order <= 100 or not words < nodes or not 1 <= highest <= nodes:
        return "its sizes do not fit together"
    if children[0] != 1 or children[-1] != nodes or (np.diff(children) < 0).any():
        return "children of nodes overlap"
    if (children[:-1] <= np.arange(nodes)).any():
        return "a node is its own child"
    if (links < 0).any() or (links[1:] >= np.arange(1, nodes)).any() or links[0] != 0:
        return "a link leads forward"
    if (arrays["words"][1:] < 0).any() or (arrays["words"] >= words).any():
        return "a word is not in the vocabulary"
    values = (arrays["log_probs"], arrays["backoffs"])
    return "a score is no number" if any(np.isnan(v).any() or (v == np.inf).any() for v in values) else ""


def read_scorer(path: str | os.PathLike) -> NgramModel | MappedModel:
    """Reads a model to score with: mapped where the file is of that form, else from ARPA.

    Raises:
      InputError: see `read_mapped` and `read_arpa`.
    """
    return read_mapped(path) if is_mapped(path) else read_arpa(path)
