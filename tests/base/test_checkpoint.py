import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.formats.tensors import load_arrays, load_metadata, map_arrays, save_arrays


def test_save_load_is_identity(tmp_path):
    arrays = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "n": np.array([1, 2], dtype=np.int64),
        "e": np.zeros((0, 3)),
    }
    save_arrays(tmp_path / "a.safetensors", arrays, {"kind": "test"})
    loaded, metadata = load_arrays(tmp_path / "a.safetensors")
    assert metadata == {"kind": "test"}
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 100])
def test_a_bad_file_is_one_line(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.safetensors: cannot be read as safetensors"):
        load_arrays(path)


def test_a_file_cut_short_is_one_line(tmp_path):
    path = tmp_path / "cut.safetensors"
    save_arrays(path, {"w": np.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="it may have been cut short"):
        load_arrays(path)


@pytest.mark.parametrize("read", [load_arrays, load_metadata, map_arrays])
def test_numbers_that_numpy_lacks_are_one_line(tmp_path, read):
    header = b'{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    (tmp_path / "w").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    if read is load_metadata:
        assert read(tmp_path / "w") == {}
        return
    with pytest.raises(InputError, match=r"w: (cannot be read as|holds no usable) safetensors"):
        read(tmp_path / "w")
