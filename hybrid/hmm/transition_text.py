"""Reads Kaldi's text transition model: topology, transition-states, log-probabilities."""

from __future__ import annotations

import os

import numpy as np

from hybrid.base.errors import InputError, MismatchError, quote
from hybrid.base.reading import read_bytes
from hybrid.hmm.topology_text import TokenReader, take_topology
from hybrid.hmm.transition_model import TransitionModel
from hybrid.tree import ContextTree

__all__ = ["parse_transition_model", "read_transition_model"]

CURE = "Copy the model again from where it was made."


def read_transition_model(path: str | os.PathLike, tree: ContextTree) -> TransitionModel:
    """Reads Kaldi's text transition model, which must belong to `tree`.

    Raises:
      InputError: missing, cut short, or not a transition model.
      MismatchError: its transition-states are not those of the tree.
    """
    try:
        text = read_bytes(path).decode("ascii")
    except UnicodeDecodeError as error:
        cure = "Kaldi's binary models: run `copy-transition-model --binary=false` first."
        raise InputError.at(path, "is no text transition model", cure) from error
    return parse_transition_model(text, tree, path)


def parse_transition_model(text: str, tree: ContextTree, place: object = "transitions") -> TransitionModel:
    """Parses the text form; see `read_transition_model`."""
    reader = TokenReader(text, place, CURE)
    reader.take("<TransitionModel>")
    topology = take_topology(reader)
    opening = reader.take()
    if opening not in ("<Triples>", "<Tuples>"):
        reader.fail(f"found '{quote(opening)}', wanted <Triples> or <Tuples>")
    columns = 3 if opening == "<Triples>" else 4
    count = int(reader.number("the number of transition-states"))
    rows = []
    while reader.peek() not in (opening.replace("<", "</"), ""):
        row = [int(reader.number("a transition-state")) for _ in range(columns)]
        rows.append(row if columns == 4 else [*row, row[2]])
    reader.take(opening.replace("<", "</"))
    if len(rows) != count:
        reader.fail(f"has {len(rows)} transition-states, promised {count}")
    reader.take("<LogProbs>")
    reader.take("[")
    log_probs = []
    while reader.peek() not in ("]", ""):
        log_probs.append(reader.number("a log-probability", float))
    for token in ("]", "</LogProbs>", "</TransitionModel>"):
        reader.take(token)
    initial = TransitionModel(topology, tree)
    if not np.array_equal(initial.tuples, np.array(rows).reshape(-1, 4)):
        raise MismatchError(
            f"{place}: its {count} transition-states are not the {len(initial.tuples)} of the tree "
            f"({tree.num_pdfs} pdfs); transition model and tree come from different models. "
            "Use files of one model folder."
        )
    try:
        return TransitionModel(topology, tree, np.array(log_probs, np.float32))
    except ValueError as error:
        reader.fail(str(error))
