"""Files of tensors: the same bytes for the same content, also with more than one entry of metadata."""

from __future__ import annotations

import numpy as np

from hybrid.formats.tensors import load_arrays, load_metadata, map_arrays, save_arrays


def test_the_same_content_is_the_same_bytes(tmp_path) -> None:
    """The library writes metadata in an order that changes from one call to the next."""
    arrays = {"b": np.arange(5, dtype=np.float32), "a": np.eye(3), "ü": np.array([7], np.int8)}
    metadata = {f"key {n}": "ä" * n for n in range(12)}
    files = []
    for n in range(3):
        save_arrays(tmp_path / f"{n}.safetensors", arrays, dict(reversed(metadata.items())) if n else metadata)
        files.append((tmp_path / f"{n}.safetensors").read_bytes())
    assert files[0] == files[1] == files[2]
    found, told = load_arrays(tmp_path / "0.safetensors")
    assert told == metadata == load_metadata(tmp_path / "0.safetensors")
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    np.testing.assert_array_equal(map_arrays(tmp_path / "0.safetensors")[0]["a"], arrays["a"])
