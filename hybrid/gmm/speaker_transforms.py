"""Speakers' transforms on disk, with the model they were made for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hybrid.base.checkpoint import load_arrays, save_arrays
from hybrid.base.errors import InputError, MismatchError

__all__ = ["load_transforms", "save_transforms"]


def save_transforms(path: Path, transforms: Mapping[str, np.ndarray], tree_hash: str) -> None:
    """Saves speakers' transforms with the tree of the model they were made for."""
    save_arrays(path, {f"speaker.{name}": matrix for name, matrix in transforms.items()}, {"tree": tree_hash})


def load_transforms(path: Path, dim: int, tree_hash: str | None = None) -> dict[str, np.ndarray]:
    """Loads what `save_transforms` saved.

    Raises:
      InputError: damaged, or of other features.
      MismatchError: made for a model with another tree.
    """
    arrays, metadata = load_arrays(path)
    if tree_hash and metadata.get("tree") and metadata["tree"] != tree_hash:
        raise MismatchError(f"{path}: transforms were made for a model with another tree. Estimate them again.")
    transforms = {name[len("speaker.") :]: matrix for name, matrix in arrays.items() if name.startswith("speaker.")}
    for name, matrix in transforms.items():
        if matrix.shape != (dim, dim + 1):
            raise InputError.at(
                path, f"the transform of '{name}' has shape {matrix.shape}, wanted ({dim}, {dim + 1})",
                "Use transforms that were made for this model's features.",
            )  # fmt: skip
    return transforms
