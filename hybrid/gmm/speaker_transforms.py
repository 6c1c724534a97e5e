"""Speakers' transforms on disk, with the model they were made for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hybrid.agreement import Part, require_fit
from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import check
from hybrid.formats.tensors import load_arrays, save_arrays
from hybrid.gmm.basis_fmllr import FmllrBasis

__all__ = ["load_basis", "load_transforms", "save_basis", "save_transforms"]

REMAKE = "Estimate them again; the file may be damaged."


def save_transforms(path: Path, transforms: Mapping[str, np.ndarray], tree_hash: str) -> None:
    """Saves speakers' transforms with the tree of the model they were made for."""
    save_arrays(path, {f"speaker.{name}": matrix for name, matrix in transforms.items()}, {"tree": tree_hash})


def load_transforms(path: Path, dim: int, tree_hash: str | None = None) -> dict[str, np.ndarray]:
    """Loads what `save_transforms` saved.

    Raises:
      InputError: damaged, or of other features.
      MismatchError: made for a model with another tree, or changed since.
    """
    arrays = _load("transforms", path, tree_hash)
    transforms = {name[len("speaker.") :]: matrix for name, matrix in arrays.items() if name.startswith("speaker.")}
    for name, matrix in transforms.items():
        if matrix.dtype.kind != "f" or not np.isfinite(matrix).all():
            raise InputError.at(path, f"the transform of '{quote(name)}' holds NaN, infinity or no numbers", REMAKE)
        if matrix.shape != (dim, dim + 1):
            raise InputError.at(
                path, f"the transform of '{quote(name)}' has shape {matrix.shape}, wanted ({dim}, {dim + 1})",
                "Use transforms that were made for this model's features.",
            )  # fmt: skip
    return transforms


def _load(kind: str, path: Path, tree_hash: str | None) -> dict[str, np.ndarray]:
    check(path)
    arrays, metadata = load_arrays(path)
    tree = {} if tree_hash is None else {"tree": tree_hash}
    require_fit(Part(kind, path, metadata), Part("model", "the model", tree))
    return arrays


def save_basis(path: Path, basis: FmllrBasis, tree_hash: str) -> None:
    """Saves the directions that basis fMLLR is made of."""
    arrays = {"bases": basis.bases.astype(np.float32), "eigenvalues": basis.eigenvalues}
    save_arrays(path, arrays, {"tree": tree_hash})


def load_basis(path: Path, dim: int, tree_hash: str | None = None) -> FmllrBasis:
    """Loads what `save_basis` saved.

    Raises:
      InputError: damaged, or of other features.
      MismatchError: made for a model with another tree, or changed since.
    """
    arrays = _load("basis", path, tree_hash)
    bases = arrays.get("bases", np.zeros((0, 0, 0)))
    if bases.ndim != 3 or bases.shape[1:] != (dim, dim + 1) or len(arrays.get("eigenvalues", ())) != len(bases):
        raise InputError.at(path, f"holds bases of shape {bases.shape}, wanted [N][{dim}][{dim + 1}]",
                            "Use the basis that was trained with this model.")  # fmt: skip
    if not (np.isfinite(bases).all() and np.isfinite(arrays["eigenvalues"]).all()):
        raise InputError.at(path, "holds NaN or infinity", REMAKE)
    return FmllrBasis(bases.astype(np.float64), arrays["eigenvalues"])
