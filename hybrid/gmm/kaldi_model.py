"""Kaldi's text form of GMM models (`gmm-copy --binary=false`), so that either toolkit reads the other's."""

from __future__ import annotations

import io
import os
import re

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError, MismatchError, quote
from hybrid.base.reading import read_bytes
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.diag_gmm import DiagGmm
from hybrid.hmm import TransitionModel
from hybrid.hmm.transition_text import parse_transition_model
from hybrid.tree import ContextTree

__all__ = ["format_gmm", "parse_gmm", "read_kaldi_model", "write_kaldi_model"]

END = "</TransitionModel>"
CURE = "Write it again with Kaldi's `gmm-copy --binary=false`."


def _vector(values: np.ndarray) -> str:
    return "[ " + " ".join(f"{v:.9g}" for v in values) + " ]"


def _matrix(rows: np.ndarray) -> str:
    return " [\n" + "\n".join("  " + " ".join(f"{v:.9g}" for v in row) for row in rows) + " ]"


def format_gmm(model: AmDiagGmm) -> str:
    """Returns the text of the mixtures; 9 digits keep every float32."""
    out = io.StringIO()
    out.write(f"<DIMENSION> {model.dim} <NUMPDFS> {model.num_pdfs} ")
    for number in range(model.num_pdfs):
        pdf = model.pdf(number)
        out.write(f"<DiagGMM> \n<GCONSTS>  {_vector(pdf.gconsts)}\n<WEIGHTS>  {_vector(pdf.weights)}\n")
        out.write(f"<MEANS_INVVARS> {_matrix(pdf.means_invvars)}\n<INV_VARS> {_matrix(pdf.inv_vars)}\n</DiagGMM> \n")
    return out.getvalue()


def parse_gmm(text: str, place: object = "model") -> AmDiagGmm:
    """Parses the text of the mixtures; constants are computed anew.

    Raises:
      InputError: the text is cut short or is no GMM.
    """
    head, *pdfs = text.split("<DiagGMM>")
    fields = head.split()
    if not re.fullmatch(r"<DIMENSION> [1-9]\d{0,5} <NUMPDFS> [1-9]\d{0,8}", " ".join(fields), re.ASCII):
        raise InputError.at(place, f"found '{quote(' '.join(fields))}'; wanted <DIMENSION> and <NUMPDFS>", CURE)
    dim, count = int(fields[1]), int(fields[3])
    if len(pdfs) != count:
        raise InputError.at(place, f"holds {len(pdfs)} pdfs, promised {count}", CURE)
    return AmDiagGmm.from_pdfs([_parse_pdf(body, dim, f"{place}: pdf {n}") for n, body in enumerate(pdfs)])


def _parse_pdf(body: str, dim: int, place: str) -> DiagGmm:
    if "</DiagGMM>" not in body:
        raise InputError.at(place, "is cut short", CURE)
    parts = {}
    for name in ("<WEIGHTS>", "<MEANS_INVVARS>", "<INV_VARS>"):
        _, found, rest = body.partition(name)
        values, closed, _ = rest.partition("]")
        numbers = values.replace("[", " ").split()
        try:
            parts[name] = np.array(numbers, dtype=np.float32)
        except ValueError:
            found = ""
        if not found or not closed or not numbers:
            raise InputError.at(place, f"has no usable {name}", CURE)
    weights = parts["<WEIGHTS>"]
    try:
        means, inverse = (parts[n].reshape(len(weights), dim) for n in ("<MEANS_INVVARS>", "<INV_VARS>"))
        return DiagGmm(weights, means, inverse)
    except ValueError as error:
        raise InputError.at(place, str(error), CURE) from error


def write_kaldi_model(path: str | os.PathLike, transition_model: TransitionModel, gmm: AmDiagGmm) -> None:
    """Writes a text `.mdl`: transition model, then mixtures."""
    with atomic_path(path) as temporary:
        temporary.write_text(transition_model.to_text() + format_gmm(gmm), encoding="ascii")


def read_kaldi_model(path: str | os.PathLike, tree: ContextTree) -> tuple[TransitionModel, AmDiagGmm]:
    """Reads a text `.mdl`.

    Raises:
      InputError: missing, binary, cut short, or no GMM model.
      MismatchError: it is not a model of `tree`.
    """
    try:
        text = read_bytes(path).decode("ascii")
    except UnicodeDecodeError as error:
        raise InputError.at(path, "is no text model", f"Kaldi's binary models: {CURE}") from error
    first, end, rest = text.partition(END)
    if not end:
        raise InputError.at(path, f"has no {END}; wanted a GMM model in text form", CURE)
    transition_model = parse_transition_model(first + end, tree, path)
    gmm = parse_gmm(rest, path)
    if gmm.num_pdfs != tree.num_pdfs:
        raise MismatchError(f"{path}: has {gmm.num_pdfs} pdfs, the tree {tree.num_pdfs}. Use files of one model.")
    return transition_model, gmm
