"""Tensors on disk: safetensors files, never pickles."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError
from hybrid.base.reading import parse_json, reading, require_readable

__all__ = ["load_arrays", "load_metadata", "map_arrays", "save_arrays"]


def save_arrays(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Saves named numpy arrays (any shape and numeric dtype) as one safetensors file, atomically."""
    from safetensors.numpy import save

    data = save({k: np.asarray(v, order="C") for k, v in sorted(arrays.items())}, dict(metadata or {}) or None)
    if metadata and len(metadata) > 1:
        data = _with_sorted_metadata(data)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)  # the library's own writer hides the reason of a failure and uses mode 0600


def _with_sorted_metadata(data: bytes) -> bytes:
    """Returns a file with its metadata in order: the library writes them in another one each time."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header = {"__metadata__": dict(sorted(header.pop("__metadata__").items())), **header}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # arrays begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def load_arrays(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Loads what `save_arrays` saved.

    Returns:
      The arrays by name, and the text metadata.

    Raises:
      InputError: the file is missing, cut short, or no safetensors file.
    """
    with _opened(path) as file:
        names = list(file.keys())
        return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})


def load_metadata(path: str | os.PathLike) -> dict[str, str]:
    """Loads the text metadata of what `save_arrays` saved, and no array; raises as `load_arrays`."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            yield file
    except (SafetensorError, OSError, ValueError, TypeError) as error:  # TypeError: a dtype that numpy lacks
        require_readable(path)
        reason = str(error).splitlines()[0]
        raise InputError.at(
            path, f"cannot be read as safetensors ({reason})", "Make it again; it may have been cut short."
        ) from error


_TYPES = {"U8": "u1", "I8": "i1", "I32": "<i4", "I64": "<i8", "F32": "<f4", "F64": "<f8"}


def map_arrays(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Maps what `save_arrays` saved into memory: nothing is read before it is used, and nothing can be written.

    Returns, Raises: as `load_arrays`.
    """
    require_readable(path)
    with reading(path, "safetensors file", "Make it again; it may have been cut short."):
        with open(path, "rb") as stream:
            begin = 8 + int.from_bytes(stream.read(8), "little")
            size = os.fstat(stream.fileno()).st_size
            if not 8 < begin <= size:
                raise ValueError(f"a header of {begin - 8} bytes in a file of {size}")
            header = parse_json(stream.read(begin - 8).decode(), path)
        metadata, arrays = header.pop("__metadata__", {}), {}
        for name, entry in header.items():
            kind, shape, (low, high) = np.dtype(_TYPES[entry["dtype"]]), tuple(entry["shape"]), entry["data_offsets"]
            if not 0 <= low <= high <= size - begin or int(np.prod(shape)) * kind.itemsize != high - low:
                raise ValueError(f"'{name}' does not lie in the file")
            empty = low == high  # cannot be mapped
            arrays[name] = np.zeros(shape, kind) if empty else np.memmap(path, kind, "r", begin + low, shape)
    return arrays, metadata
