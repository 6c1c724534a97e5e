"""Models as Kaldi's scripts keep them: a folder with final.mdl, final.alimdl, final.mat, tree and options.

| file | holds |
|---|---|
| `final.mdl` | transition model and Gaussians, text |
| `final.alimdl` | of a model trained on adapted features, the speaker-independent Gaussians |
| `final.mat` | LDA or LDA+MLLT, [out][spliced in] |
| `full.mat` | these rows and those that LDA rejected, [spliced in][spliced in], where the model knows them |
| `tree`, `phones.txt` | as Kaldi has them |
| `splice_opts`, `cmvn_opts`, `delta_opts` | options of splice-feats, apply-cmvn and add-deltas |

Kaldi's raw fMLLR and predictive SGMMs take the rejected rows of full.mat, and replace its others by final.mat's
(get-full-lda-mat); its own has LDA's there, before MLLT.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.disk import make_folder
from hybrid.base.errors import InputError, quote
from hybrid.base.reading import read_bytes, read_text
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.feats.transform import LinearTransform
from hybrid.formats.kaldi_io import read_matrix, write_matrix
from hybrid.gmm.acoustic import GmmAcousticModel
from hybrid.gmm.kaldi_model import read_kaldi_model, write_kaldi_model
from hybrid.model.folder import Model
from hybrid.tree import read_tree

__all__ = ["kaldi_files", "read_kaldi_folder", "write_kaldi_folder"]

_OPTION = re.compile(r"--([a-z-]+)=(\S+)")


def kaldi_files(model: Model) -> list[str]:
    """Returns the names of the files that `write_kaldi_folder` writes."""
    names = ["final.mdl", "tree", "phones.txt", "cmvn_opts"]
    names += ["final.alimdl"] if model.speaker_independent is not None else []
    transform = _transform(model.pipeline)
    names += ["final.mat"] if transform is not None else []
    names += ["full.mat"] if transform is not None and transform.rejected is not None else []
    return [*names, "delta_opts" if model.pipeline.delta_order else "splice_opts"]


def write_kaldi_folder(folder: str | os.PathLike, model: Model) -> None:
    """Writes a model for Kaldi's programs.

    Raises:
      InputError: it is no GMM, or its features have no like in Kaldi's scripts.
    """
    place, pipeline = model.path or "the model", model.pipeline
    if not isinstance(model.acoustic_model, GmmAcousticModel):
        raise InputError.at(place, "holds no GMM", "Name the folder of a GMM.")
    if pipeline.speaker_dim or pipeline.cmvn.kind == "sliding" or (pipeline.delta_order and pipeline.transforms):
        raise InputError.at(place, "has features that Kaldi's scripts do not know", "Write the features themselves.")
    target = make_folder(Path(folder))
    write_kaldi_model(target / "final.mdl", model.transition_model, model.acoustic_model.gmm)
    if isinstance(model.speaker_independent, GmmAcousticModel):
        write_kaldi_model(target / "final.alimdl", model.transition_model, model.speaker_independent.gmm)
    model.tree.write(target / "tree")
    _write(target / "phones.txt", read_bytes(model.phones_path))
    transform = _transform(pipeline)
    if transform is not None:
        write_matrix(target / "final.mat", transform.matrix)
        if transform.rejected is not None:
            write_matrix(target / "full.mat", np.concatenate([transform.matrix, transform.rejected]))
    means = "" if pipeline.cmvn.kind != "none" else "--norm-means=false "
    _write(target / "cmvn_opts", f"{means}--norm-vars={str(pipeline.cmvn.norm_vars).lower()}\n".encode())
    if pipeline.delta_order:
        options = f"--delta-order={pipeline.delta_order} --delta-window={pipeline.delta_window}\n"
        _write(target / "delta_opts", options.encode())
    else:
        options = f"--left-context={pipeline.splice_left} --right-context={pipeline.splice_right}\n"
        _write(target / "splice_opts", options.encode())


def _transform(pipeline: FeaturePipeline) -> LinearTransform | None:
    """Returns all transforms of a pipeline in one."""
    return reduce(LinearTransform.then, pipeline.transforms) if pipeline.transforms else None


def _write(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _options(path: Path) -> dict[str, str]:
    """Reads options of a program; none where there is no such file."""
    return dict(_OPTION.findall(read_text(path))) if path.exists() else {}


def _whole(path: Path, options: dict[str, str], name: str, default: int) -> int:
    value = options.get(name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 4):
        raise InputError.at(path, f"has --{name}={quote(value)}, wanted a number from 0", "Mend it.")
    return int(value)


def read_kaldi_folder(folder: str | os.PathLike, store: FeatureStore, phones: Path | None = None) -> Model:
    """Reads a model that Kaldi's scripts trained, its .mdl files in text form.

    Args:
      store: static features such as it was trained on; they give its feature settings and CMVN prior.
      phones: phones.txt; by default that of the folder.

    Raises:
      InputError: a file is missing or damaged, or features, splicing and matrix do not fit each other.
    """
    source = Path(folder)
    transitions, gmm = read_kaldi_model(source / "final.mdl", read_tree(source / "tree"))
    independent = None
    if (source / "final.alimdl").exists():
        independent = GmmAcousticModel(read_kaldi_model(source / "final.alimdl", transitions.tree)[1])
    pipeline = _pipeline(source, store, gmm.dim)
    table = phones or source / "phones.txt"
    return Model(transitions, GmmAcousticModel(gmm), pipeline, table, speaker_independent=independent)


def _pipeline(source: Path, store: FeatureStore, dim: int) -> FeaturePipeline:
    cmvn = _options(source / "cmvn_opts")
    pipeline = FeaturePipeline.for_store(store)
    kind = "none" if cmvn.get("norm-means") == "false" else "speaker"
    norm_vars = cmvn.get("norm-vars") == "true"
    pipeline = replace(pipeline, cmvn=replace(pipeline.cmvn, kind=kind, norm_vars=norm_vars))  # type: ignore[arg-type]
    try:
        if not (source / "final.mat").exists():
            options = _options(source / "delta_opts")
            order = 0 if dim == store.config.dim else _whole(source / "delta_opts", options, "delta-order", 2)
            window = _whole(source / "delta_opts", options, "delta-window", 2)
            pipeline = replace(pipeline, delta_order=order, delta_window=window)
        else:
            options = _options(source / "splice_opts")
            left, right = (
                _whole(source / "splice_opts", options, f"{side}-context", 4) for side in ("left", "right")
            )  # fmt: skip
            pipeline = replace(pipeline, splice_left=left, splice_right=right)
            pipeline = pipeline.with_transforms(_read_transform(source, pipeline.context_dim))
    except ValueError as error:
        raise InputError.at(source, str(error), "Name features such as the model was trained on.") from error
    if pipeline.dim != dim:
        raise InputError.at(
            source / "final.mdl", f"takes {dim} values per frame, these features and options give {pipeline.dim}",
            "Name features such as the model was trained on.",
        )  # fmt: skip
    return pipeline


def _read_transform(source: Path, input_dim: int) -> LinearTransform:
    """Reads final.mat, and of full.mat, where there is one, the rows that final.mat lacks."""
    matrix, rejected = read_matrix(source / "final.mat"), None
    transform = LinearTransform("lda+mllt", matrix, input_dim)
    if (source / "full.mat").exists():
        full, wanted = read_matrix(source / "full.mat"), (input_dim, matrix.shape[1])
        if full.shape != wanted:
            raise InputError.at(
                source / "full.mat",
                f"has shape {full.shape}, wanted {wanted}, the whole of what final.mat has {len(matrix)} rows of",
                "Take both from one model, or leave full.mat out.",
            )
        rejected = full[len(matrix) :]
    return replace(transform, rejected=rejected)
