"""Tensors on disk: safetensors files, never pickles."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError
from hybrid.base.reading import require_readable

__all__ = ["load_arrays", "save_arrays"]


def save_arrays(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Saves named numpy arrays (any shape and numeric dtype) as one safetensors file, atomically."""
    from safetensors.numpy import save

    data = save({k: np.asarray(v, order="C") for k, v in sorted(arrays.items())}, dict(metadata or {}) or None)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)  # the library's own writer hides the reason of a failure and uses mode 0600


def load_arrays(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Loads what `save_arrays` saved.

    Returns:
      The arrays by name, and the text metadata.

    Raises:
      InputError: the file is missing, cut short, or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        require_readable(path)
        reason = str(error).splitlines()[0]
        raise InputError.at(
            path, f"cannot be read as safetensors ({reason})", "Make it again; it may have been cut short."
        ) from error
