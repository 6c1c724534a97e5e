"""A trained model as one folder, the same for GMM and network.

final.safetensors   weights of the acoustic model, and matrices of the feature pipeline
tree topo           context tree and HMM topology, in Kaldi's text forms
transitions         transition model, in Kaldi's text form
config.yaml         kind, features, CMVN policy, context, subsampling, acoustic scale
phones.txt          phone table
meta.json           what it was made from; hashes of its files. Written last.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from hybrid.agreement import Part, require_fit
from hybrid.base.artifact import atomic_path, content_hash, read_meta, write_meta
from hybrid.base.config import read_yaml, write_yaml
from hybrid.base.disk import make_folder, remove_mark
from hybrid.base.errors import InputError, MismatchError, quote
from hybrid.base.integrity import check
from hybrid.base.log import get_logger
from hybrid.base.reading import require_followed
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.formats.tensors import load_arrays, save_arrays
from hybrid.hmm import HmmTopology, TransitionModel, read_transition_model
from hybrid.model.device import usable_device
from hybrid.model.kinds import StoredModel, kind_named, kind_of
from hybrid.model.protocol import AcousticModel, score_one
from hybrid.model.ready import model_folder, ready_models
from hybrid.tree import ContextTree, read_tree

__all__ = ["MODEL_FILES", "Model", "check_phones", "is_model_dir", "load_model", "save_model", "warn_unadapted"]

logger = get_logger(__name__)

MODEL_FILES = ("final.safetensors", "tree", "topo", "transitions", "config.yaml", "phones.txt")
REMAKE = "Train the model again, or copy the whole folder."


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model and all that decoding and alignment need of it.

    Attributes:
      transition_model: with its tree and topology.
      acoustic_model: scores of the pdfs.
      pipeline: from static features (or samples) to what the model scores.
      phones_path: its phones.txt.
      speaker_independent: of a model trained on adapted features: the one for a first pass without transforms.
      path: its folder.
      hashes: sha256 of tree, topo and phones.txt.
    """

    transition_model: TransitionModel
    acoustic_model: AcousticModel
    pipeline: FeaturePipeline
    phones_path: Path
    speaker_independent: AcousticModel | None = None
    path: Path | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.acoustic_model.num_pdfs != self.tree.num_pdfs:
            raise MismatchError(
                f"{self.path or 'model'}: the acoustic model scores {self.acoustic_model.num_pdfs} pdfs, the tree has "
                f"{self.tree.num_pdfs}. {REMAKE}"
            )
        if self.acoustic_model.feature_dim != self.pipeline.dim:
            raise MismatchError(
                f"{self.path or 'model'}: the acoustic model takes {self.acoustic_model.feature_dim} values per frame, "
                f"the feature pipeline gives {self.pipeline.dim}. {REMAKE}"
            )

    @property
    def tree(self) -> ContextTree:
        """The context tree: phones in context to pdf-ids."""
        return self.transition_model.tree

    @property
    def topology(self) -> HmmTopology:
        """The states and arcs of each phone."""
        return self.transition_model.topology

    @property
    def part(self) -> Part:
        """What other artifacts must agree with."""
        return Part("model", self.path or "the model", self.hashes, Path(self.phones_path))

    @property
    def frame_shift(self) -> float:
        """Seconds per frame of scores."""
        return self.pipeline.frame_shift * self.acoustic_model.subsampling_factor

    @property
    def boundary_lag(self) -> float:
        """Seconds from a frame's number × shift to the boundary in front of it.

        That is where its window and the window before it have their middle: windows are longer than their shift, so
        that times without it (Kaldi's) are early by (length − shift) / 2, 7.5 ms with the usual settings.
        """
        static = self.pipeline.static
        centre = static.frame_length / 2000.0 if static.snip_edges else self.pipeline.frame_shift / 2.0
        return centre - self.frame_shift / 2.0

    @cached_property
    def phones(self) -> Any:
        """The phone table (lexicon.symbols.SymbolTable)."""
        from lexicon.symbols import SymbolTable

        return SymbolTable.read(self.phones_path)

    @cached_property
    def unadapted(self) -> Model:
        """The model for features that no speaker transform was applied to (Kaldi's final.alimdl).

        Its speaker-independent model where it was trained on adapted features, else itself.
        """
        if self.speaker_independent is None:
            return self
        return replace(self, acoustic_model=self.speaker_independent, speaker_independent=None)

    def to(self, device: str) -> Model:
        """Returns the model with its scores computed on another device.

        Raises:
          InputError: the device cannot be used here.
        """
        name = str(usable_device(device))
        twin = self.speaker_independent
        return replace(
            self,
            acoustic_model=self.acoustic_model.to(name),
            speaker_independent=None if twin is None else twin.to(name),
        )

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Scores one utterance: float32 [T'][num_pdfs] for the pipeline's features float32 [T][D]."""
        return score_one(self.acoustic_model, features)


def is_model_dir(path: str | os.PathLike) -> bool:
    """Tells whether a folder holds a finished model."""
    folder = Path(path)
    return (folder / "meta.json").exists() and all((folder / name).exists() for name in MODEL_FILES)


def save_model(
    path: str | os.PathLike,
    model: Model,
    settings: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    files: Iterable[str] = (),
) -> None:
    """Writes a model folder; other files in it stay. The folder counts as finished once meta.json is there.

    Args:
      settings, inputs, facts: for meta.json, see `artifact.write_meta`.
      files: others of the folder that belong to the model.
    """
    folder = Path(path)
    remove_mark(make_folder(folder))
    kind, arrays = kind_of(model.acoustic_model), _arrays_of(model.acoustic_model)
    if model.speaker_independent is not None:
        more = _arrays_of(model.speaker_independent)
        arrays |= {f"speaker_independent.{name}": array for name, array in more.items()}
    arrays |= {f"pipeline.{name}": array for name, array in model.pipeline.arrays().items()}
    save_arrays(folder / "final.safetensors", arrays)
    model.tree.write(folder / "tree")
    model.topology.write(folder / "topo")
    model.transition_model.write(folder / "transitions")
    settings_of_kind = cast(StoredModel, model.acoustic_model).settings()
    write_yaml(folder / "config.yaml", {"kind": kind, **settings_of_kind, "pipeline": model.pipeline.to_dict()})
    if Path(model.phones_path) != folder / "phones.txt":
        with atomic_path(folder / "phones.txt") as temporary:
            shutil.copyfile(model.phones_path, temporary)
    hashes = {name: content_hash(folder / file) for name, file in _HASHED.items()}
    write_meta(folder, kind, settings, inputs, {**(facts or {}), "hashes": hashes}, {*MODEL_FILES, *files})


_HASHED = {"tree": "tree", "topo": "topo", "phones": "phones.txt"}


def _arrays_of(acoustic_model: AcousticModel) -> dict[str, np.ndarray]:
    stored = cast(StoredModel, acoustic_model)
    return {f"{kind_of(acoustic_model)}.{name}": array for name, array in stored.arrays().items()}


def load_model(path: str | os.PathLike) -> Model:
    """Loads a model folder, or a ready model by its name (see `hybrid.model.ready`).

    Raises:
      InputError: a file is missing or damaged.
      MismatchError: a file is not the one that the model was saved with.
    """
    folder = model_folder(path)
    require_followed(folder)
    missing = [name for name in (*MODEL_FILES, "meta.json") if not (folder / name).exists()]
    if missing:
        what = "is not a model folder" if len(missing) == len(MODEL_FILES) + 1 else f"has no '{quote(missing[0])}'"
        ready = ", ".join(ready_models())
        raise InputError.at(
            folder, what, "Train one with `hybrid gmm train-mono` or `hybrid nnet train` (a killed training can be run "
            "again)" + (f", or take one that is ready: {ready}." if ready else "."),
        )  # fmt: skip
    for file in MODEL_FILES:
        check(folder / file)
    hashes = {name: content_hash(folder / file) for name, file in _HASHED.items()}
    recorded = read_meta(folder).get("facts", {}).get("hashes", {})
    for name, file in _HASHED.items():  # all that older models record
        if recorded.get(name, hashes[name]) != hashes[name]:
            raise MismatchError(f"{folder / file}: is not the {name} that this model was saved with. {REMAKE}")
    values = read_yaml(folder / "config.yaml")
    arrays, _ = load_arrays(folder / "final.safetensors")
    tree = read_tree(folder / "tree")
    transition_model = read_transition_model(folder / "transitions", tree)
    place = folder / "config.yaml"
    pipeline = FeaturePipeline.from_dict(values.get("pipeline", {}), _under("pipeline", arrays), place)
    adapted = _under("speaker_independent", arrays)
    return Model(
        transition_model,
        _build(values, arrays, folder),
        pipeline,
        folder / "phones.txt",
        speaker_independent=_build(values, adapted, folder) if adapted else None,
        path=folder,
        hashes=hashes,
    )


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name[len(prefix) + 1 :]: array for name, array in arrays.items() if name.startswith(prefix + ".")}


def _build(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray], folder: Path) -> AcousticModel:
    cls = kind_named(values.get("kind"), folder / "config.yaml")
    try:
        settings = {name: value for name, value in values.items() if name not in ("kind", "pipeline")}
        return cls.from_arrays(_under(str(values["kind"]), arrays), settings)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError.at(folder, f"holds no usable {quote(values['kind'])} ({quote(error, 200)})", REMAKE) from error


def check_phones(model: Model, phones_path: str | os.PathLike) -> None:
    """Raises MismatchError unless every phone of a phone table has the number that the model knows it by.

    The table may lack phones of the model (the lang folder of a small domain); disambiguation symbols are free.
    """
    require_fit(Part("lang", Path(phones_path).parent, phones=Path(phones_path)), model.part)


def warn_unadapted(model: Model, better: str) -> None:
    """Warns that a model trained on adapted features gets features without speaker transforms.

    Args:
      better: the command that estimates transforms.
    """
    if model.speaker_independent is not None:
        logger.warning(
            "%s was trained on features adapted to each speaker, and no transforms are at hand: its "
            "speaker-independent model is used. `%s` estimates transforms and is more accurate.",
            model.path or "the model", better,
        )  # fmt: skip
