"""Kaldi's text transition model: topology, transition-states, log-probabilities."""

from __future__ import annotations

import os

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError, MismatchError, quote
from hybrid.base.reading import read_bytes
from hybrid.hmm.topology_text import TokenReader, format_topology, read_topology
from hybrid.hmm.transition_model import TransitionModel
from hybrid.tree import ContextTree

__all__ = ["format_transition_model", "parse_transition_model", "read_transition_model", "write_transition_model"]

CURE = "Copy the model again from where it was made."


def format_transition_model(model: TransitionModel, digits: int = 9) -> str:
    """Returns the text that `copy-transition-model --binary=false` writes (it uses 7 digits)."""
    text = "<TransitionModel> \n" + format_topology(model.topology, " ", 7 if digits == 7 else 15)
    if model.topology.is_hmm:
        text += f"<Triples> {len(model.tuples)} \n"
        text += "".join(f"{p} {s} {f} \n" for p, s, f, _ in model.tuples.tolist()) + "</Triples> \n"
    else:
        text += f"<Tuples> {len(model.tuples)} \n"
        text += "".join(f"{p} {s} {f} {l} \n" for p, s, f, l in model.tuples.tolist()) + "</Tuples> \n"
    numbers = " ".join(f"{x:.{digits}g}" for x in model.log_probs)
    return f"{text}<LogProbs> \n [ {numbers} ]\n</LogProbs> \n</TransitionModel> \n"


def write_transition_model(path: str | os.PathLike, model: TransitionModel, digits: int = 9) -> None:
    """Writes the text form, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(format_transition_model(model, digits), encoding="ascii")


def read_transition_model(path: str | os.PathLike, tree: ContextTree) -> TransitionModel:
    """Reads the text form and holds its transition-states against the tree's."""
    try:
        text = read_bytes(path).decode("ascii")
    except UnicodeDecodeError as error:
        cure = "Kaldi's binary models: run `copy-transition-model --binary=false` first."
        raise InputError.at(path, "is no text transition model", cure) from error
    return parse_transition_model(text, tree, path)


def parse_transition_model(text: str, tree: ContextTree, place: object = "transitions") -> TransitionModel:
    """Parses the text form; see `TransitionModel.read`."""
    reader = TokenReader(text, place, CURE)
    reader.take("<TransitionModel>")
    topology = read_topology(reader)
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
