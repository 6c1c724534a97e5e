"""Every reader of the fuzzer's table says of a file without permissions that it cannot be read, and what to do."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hybrid.base.errors import HybridError

OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, linux/capability.h
VERSION = 0x20080522


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Lets root's threads be bound by permissions, as a user's are; skips where that cannot be."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(VERSION, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) != 0:
        pytest.skip("capabilities cannot be read")
    before = data[0]
    data[0] = before & ~OVERRIDES
    if libc.capset(header, data) != 0:
        pytest.skip("capabilities cannot be dropped")
    try:
        yield
    finally:
        data[0] = before
        libc.capset(header, data)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_a_file_without_permissions_is_told(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import formats
    import world

    world.build(tmp_path)
    (tmp_path / "out").mkdir(exist_ok=True)
    wrong = {}
    for name, reader in formats.READERS.items():
        file = tmp_path / reader.file
        mode = file.stat().st_mode & 0o777
        file.chmod(0)
        try:
            with bound_by_permissions():
                reader.use(file, tmp_path)  # what it can do without, or lists as failed, passes
        except HybridError as error:
            if "cannot be read (permissions do not allow it)" not in str(error):
                wrong[name] = str(error)
        except Exception as error:  # noqa: BLE001 - whatever comes is the finding
            wrong[name] = repr(error)
        finally:
            file.chmod(mode)
    wrong.pop("feats.block-meta", None)  # its reader copies the store itself
    assert not wrong, "\n".join(f"{name}: {text}" for name, text in wrong.items())
