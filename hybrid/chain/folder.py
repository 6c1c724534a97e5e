"""Folders of what lattice-free MMI is trained with: the chain model's tree, and its denominator."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.agreement import Part, part_of, require_fit
from hybrid.base.artifact import atomic_folder, content_hash, write_meta
from hybrid.base.errors import InputError
from hybrid.base.integrity import check
from hybrid.base.reading import reading
from hybrid.chain.denominator import Denominator
from hybrid.chain.phone_lm import PhoneLm
from hybrid.chain.topology import require_chain_topology
from hybrid.formats.kaldi_io import read_int_vectors, write_int_vectors
from hybrid.formats.openfst import write_fst
from hybrid.formats.tensors import load_arrays, save_arrays
from hybrid.hmm import TransitionModel, read_transition_model
from hybrid.ids import check_range
from hybrid.tree import read_tree
from hybrid.tree.draw import describe_tree
from lexicon.lang_dir import LangDir

__all__ = ["load_chain_model", "load_denominator", "phone_sequences", "save_denominator", "write_chain_folder"]

PathLike = str | os.PathLike
NAMES = ("from_state", "to_state", "pdf", "log_weight", "initial", "end")
REMAKE = "Make it again with `hybrid nnet chain-den`."


def load_chain_model(path: PathLike) -> tuple[TransitionModel, Part]:
    """Loads tree, topology and transitions of a chain model, and what other artifacts must agree with.

    Args:
      path: a folder of `hybrid nnet chain-tree`, or a trained model's.

    Raises:
      InputError, MismatchError: a file is missing or damaged, or the topology is not a chain's.
    """
    folder = Path(path)
    for name in ("tree", "transitions", "phones.txt"):
        check(folder / name)
    model = read_transition_model(folder / "transitions", read_tree(folder / "tree"))
    require_chain_topology(model.topology, folder / "transitions")
    hashes = {"tree": model.tree.content_hash(), "topo": model.topology.content_hash()}
    return model, Part("model", folder, hashes, folder / "phones.txt")


def write_chain_folder(
    folder: Path, model: TransitionModel, lang: LangDir, sequences: Iterable[tuple[str, np.ndarray]]
) -> dict[str, str]:
    """Writes what every folder of a chain model's tree holds, and returns the hashes for its meta.json.

    Args:
      folder: new, of `atomic_folder`.
      lang: of the training.
      sequences: utterance → phones, of which the denominator's LM is estimated.
    """
    model.tree.write(folder / "tree")
    model.topology.write(folder / "topo")
    model.write(folder / "transitions")
    shutil.copyfile(lang.path / "phones.txt", folder / "phones.txt")
    names = dict(zip(lang.phones.ids, lang.phones.symbols))
    (folder / "tree.txt").write_text(describe_tree(model.tree, names), encoding="utf-8")
    write_int_vectors(folder / "phone_sequences.gz", sequences)
    return {name: content_hash(folder / file) for name, file in _HASHED.items()}


_HASHED = {"tree": "tree", "topo": "topo", "phones": "phones.txt"}


def phone_sequences(path: PathLike, model: TransitionModel) -> dict[str, np.ndarray]:
    """Reads the phone sequences of the training data from the folder of a chain model's tree.

    Raises:
      InputError: missing, damaged, or a phone that the model lacks.
    """
    file = Path(path) / "phone_sequences.gz"
    check(file, cached=True)
    sequences = dict(read_int_vectors(file))
    for phones in sequences.values():
        check_range("phone_id", phones, 1, model.topology.phones[-1], str(file))
    return sequences


def save_denominator(
    path: PathLike,
    denominator: Denominator,
    phone_lm: PhoneLm,
    model: Part,
    settings: Mapping[str, Any],
) -> None:
    """Writes a denominator's folder: den.safetensors, phone_lm.fst (OpenFst) and meta.json."""
    with atomic_folder(path, "denominator", (Path(str(model.path)),)) as folder:
        arrays = {name: getattr(denominator, name) for name in NAMES}
        arrays |= {"start": np.int32(denominator.start), "num_pdfs": np.int32(denominator.num_pdfs)}
        save_arrays(folder / "den.safetensors", arrays)
        write_fst(folder / "phone_lm.fst", phone_lm.fst)
        facts = {"states": denominator.num_states, "arcs": denominator.num_arcs, "pdfs": denominator.num_pdfs,
                 "lm_states": phone_lm.fst.num_states, "lm_arcs": phone_lm.fst.num_arcs,
                 "lm_perplexity": round(phone_lm.perplexity, 4), "phones": phone_lm.num_phones}  # fmt: skip
        write_meta(folder, "denominator", settings, dict(model.hashes), facts)


def load_denominator(path: PathLike, model: Part | None = None) -> Denominator:
    """Loads what `save_denominator` saved, and checks that it was made with a model's tree and topology.

    Raises:
      InputError: missing, cut short, or no denominator.
      MismatchError: made with another tree or topology.
    """
    file = Path(path) / "den.safetensors"
    check(file)
    arrays, _ = load_arrays(file)
    if set(arrays) != {*NAMES, "start", "num_pdfs"}:
        raise InputError.at(file, "does not hold a denominator", REMAKE)
    if model is not None:
        require_fit(part_of(path, "denominator"), model)
    with reading(file, "denominator", REMAKE):
        start, num_pdfs = arrays.pop("start").item(), arrays.pop("num_pdfs").item()
        return Denominator(**arrays, start=start, num_pdfs=num_pdfs)
