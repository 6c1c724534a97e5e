"""Arrays of strangers: what numpy.save writes comes back; all else is refused by name."""

from __future__ import annotations

import io

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.formats.npy import read_npy


@pytest.mark.parametrize("kind", ["<f4", ">f8", "<i2", "|u1", "<f2", "|b1"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4), (2, 3, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_as_numpy_reads_it(tmp_path, kind, shape, order):
    array = np.asarray(np.random.default_rng(0).integers(0, 9, shape)).astype(kind, order=order)
    np.save(tmp_path / "a.npy", array)
    found = read_npy(tmp_path / "a.npy")
    assert found.dtype == array.dtype and np.array_equal(found, array) and found.shape == array.shape


def saved() -> bytes:
    """The bytes of a float32 [2][3]."""
    stream = io.BytesIO()
    np.save(stream, np.ones((2, 3), np.float32))
    return stream.getvalue()


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "is no .npy file"),
        (saved()[:40], "no header of an array"),
        (saved()[:-1], "is cut short: 1 of 24 bytes"),
        (saved().replace(b"(2, 3)", b"(2, ((("), "no header of an array"),
        (saved().replace(b"(2, 3), }" + b" " * 10, b"(999999999, 99999), "), "is cut short"),
        (saved().replace(b"<f4", b"|O8"), "no header of an array"),
        (saved().replace(b"<f4", b"<U3"), "no header of an array"),
        (saved().replace(b"<f4", b"<c8"), "no header of an array"),
        (saved().replace(b"<f4", b"<f1"), r"numbers of a type that there is not \('<f1'\)"),
    ],
)
def test_damage_is_told(tmp_path, data, message):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_npy(tmp_path / "a.npy")
    assert str(caught.value).startswith(f"{tmp_path}/a.npy: ")
