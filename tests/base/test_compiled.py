"""Kernels: one decorator, no interpreter's lock, a cache that heals and that workers share."""

from __future__ import annotations

import logging
import os
import re
import stat
import subprocess
import sys
import time
import warnings
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from hybrid.base import cache, compiled
from hybrid.base.compiled import import_kernels, interpreted, kernel
from hybrid.base.jobs import map_in_order, pool

ROOT = Path(__file__).resolve().parents[2]


def total(values):
    """Sums squares."""
    result = 0.0
    for value in values:
        result += value * value
    return result


shared = kernel(total)  # as a module's kernel is, also in workers


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HYBRID_CACHE_DIR", str(tmp_path / "cache"))
    compiled._say_once.cache_clear()
    compiled._say_uncached.cache_clear()
    return tmp_path / "cache" / "kernels"


def misses(function) -> int:
    """Calls a kernel and returns how often it had to be compiled."""
    assert function(np.arange(4.0)) == 14.0
    return sum(function.stats.cache_misses.values())


def test_a_kernel_is_compiled_once_and_kept(folder, caplog):
    with caplog.at_level(logging.INFO):
        assert [misses(kernel(total)) for _ in range(3)] == [1, 0, 0]
    assert [r.getMessage() for r in caplog.records] == [
        f"compiling kernels, about 1 s each, only now (kept in {folder})"
    ]
    (file,) = folder.glob("*.kernel")
    assert re.fullmatch(r".*test_compiled\.total-[0-9a-f]{32}\.kernel", file.name)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_is_kept_is_known_before_a_call(folder):
    first, second = kernel(total), kernel(total)
    assert not compiled.is_kept(first, np.arange(4.0))
    first(np.arange(4.0))
    assert compiled.is_kept(first, np.arange(4.0)) and compiled.is_kept(second, np.arange(9.0))
    assert not compiled.is_kept(second, np.arange(4))  # other types
    for file in folder.glob("*.kernel"):
        file.unlink()
    assert compiled.is_kept(first, np.arange(4.0)) and not compiled.is_kept(second, np.arange(4.0))
    assert compiled.is_kept(total)  # numba is switched off


def difference(pair):
    """Subtracts one field of a named tuple from another."""
    return pair.more - pair.less


def test_named_tuples_with_other_fields_are_other_types(folder):
    """Their types have one name, and arrays know no names: only the fields tell them apart."""
    for fields in (["more", "less"], ["less", "more"]):
        assert kernel(difference)(namedtuple("Pair", fields)(more=np.full(1, 3.0), less=np.full(1, 1.0)))[0] == 2.0
    assert len(list(folder.glob("*.kernel"))) == 2


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [lambda d: b"", lambda d: d[:100], lambda d: d[:-1], flipped, lambda d: b"cos\nsystem\n(S'false'\ntR."]
)
def test_a_damaged_file_is_told_removed_and_made_again(folder, caplog, damage):
    misses(kernel(total))
    (file,) = folder.glob("*.kernel")
    file.write_bytes(damage(file.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert misses(kernel(total)) == 1
    (record,) = [
        r for r in caplog.records if r.levelno >= logging.WARNING
    ]  # an earlier command may have asked for more
    assert record.getMessage() == f"{file} is damaged (its checksum does not fit); compiling it anew"
    assert compiled.examine_kernels() == (1, 0)
    assert misses(kernel(total)) == 0


def test_a_change_in_a_called_kernel_compiles_its_callers(folder, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "outer_k.py").write_text(
        "from hybrid.base.compiled import kernel\n"
        "from inner_k import inner\n@kernel\ndef outer(x):\n    return inner(x)\n"
    )
    for number in (1.0, 2.0):
        (tmp_path / "inner_k.py").write_text(
            f"from hybrid.base.compiled import kernel\n@kernel\ndef inner(x):\n    return x[0] + {number}\n"
        )
        code = "import numpy as np, outer_k; print(outer_k.outer(np.zeros(1)))"
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert done.stdout.strip() == str(number), done.stderr


def count_misses(cache_dir: str) -> tuple[int, int]:
    os.environ["HYBRID_CACHE_DIR"] = cache_dir  # the fork server may be older than this test's environment
    time.sleep(0.2)  # so that each worker gets one
    return os.getpid(), misses(shared)


def test_workers_do_not_compile_the_same_kernel_each(folder):
    with pool(3) as executor:
        found = dict(map_in_order(count_misses, [os.environ["HYBRID_CACHE_DIR"]] * 9, executor))
    assert len(found) >= 2 and sum(found.values()) == 1


# Python and its packages may lie where only root can read: all is loaded before the process becomes another user.
RUN = """
import os, sys
import numba, numpy as np
numba.njit(lambda x: x.sum())(np.ones(3))
from tests_of_kernels import total
if sys.argv[1:]:
    os.setgroups([]), os.setgid(int(sys.argv[1])), os.setuid(int(sys.argv[1]))
print(total(np.ones(3)), total(np.ones(3, np.float32)))
"""


@pytest.mark.parametrize("user", [None, 65534])
def test_read_only_and_without_a_home_it_runs_with_one_line(tmp_path, user):
    """A package that may not be written, no home, any user: compiled for this process alone."""
    if user is not None and os.geteuid() != 0:
        pytest.skip("needs root to be another user")
    module = "from hybrid.base.compiled import kernel\n@kernel\ndef total(x):\n    return x.sum()\n"
    (tmp_path / "tests_of_kernels.py").write_text(module)
    tmp_path.chmod(0o555)
    names = ("HYBRID_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    environment = {k: v for k, v in os.environ.items() if k not in names}
    environment |= {"HOME": "/proc/nonexistent", "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", RUN, *([str(user)] if user else [])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")
    assert done.stdout == "3.0 3.0\n", done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("compiled kernels are not kept: /proc/nonexistent/.cache/hybrid/kernels cannot be made (")
    assert line.endswith("every run compiles them again. Set HYBRID_CACHE_DIR to a folder of your own.")


def test_a_folder_that_others_may_write_is_not_used(folder):
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert cache.cache_folder("kernels").reason == f"{folder} may be written by everybody"
    folder.chmod(0o700)
    assert cache.cache_folder("kernels") == cache.CacheFolder(folder, True)
    if os.geteuid() == 0:
        os.chown(folder, 65534, -1)
        assert cache.cache_folder("kernels").reason == f"{folder} belongs to another user"


def test_a_full_disk_ends_in_one_line(folder, monkeypatch, caplog):
    monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert misses(kernel(total)) == 1
    assert "cannot be written (No space left on device); every run compiles them again" in caplog.text


def test_the_cache_does_not_grow_for_ever(folder, monkeypatch):
    monkeypatch.setattr(compiled, "MAX_FILES", 3)
    folder.mkdir(parents=True, mode=0o700)
    for i in range(6):
        (folder / f"{i}.kernel").write_bytes(b"")
        os.utime(folder / f"{i}.kernel", (i, i))
    misses(kernel(total))
    assert {p.name for p in folder.glob("?.kernel")} == {"3.kernel", "4.kernel", "5.kernel"}


TRITON = ("triton_kernels.py", "backward_kernels.py", "card_kernels.py", "cutoff_kernels.py")


def test_every_kernel_has_the_one_decorator_and_no_lock():
    for package in ("hybrid", "lexicon", "lm"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name not in ("compiled.py", *TRITON):  # the decorator itself, and what Triton compiles
                assert not re.search(r"\bn?jit\b|vectorize|cfunc", path.read_text(encoding="utf-8")), path
    kernels = import_kernels()
    assert len(kernels) > 100 and all(k.targetoptions["nogil"] for k in kernels)


def test_doctor_runs_nothing_that_it_finds(folder, monkeypatch):
    misses(kernel(total))
    monkeypatch.setattr(compiled.pickle, "loads", None)
    (folder / "other.kernel").write_bytes(b"")
    assert compiled.examine_kernels() == (1, 1)


def test_what_is_interpreted_is_not_compiled(folder):
    """In this thread and inside alone; numbers that wrap around do it without a word."""
    compiled_total = kernel(total)
    with interpreted():
        assert misses(compiled_total) == 0
        assert total is compiled_total.py_func and not compiled_total.signatures
        with interpreted(False):
            assert misses(compiled_total) == 1
        with warnings.catch_warnings(action="error"):
            assert np.uint64(2**63) * np.uint64(2) == 0
    assert misses(compiled_total) == 1


@pytest.mark.parametrize(("cause", "wanted"), [
    (KeyboardInterrupt(), KeyboardInterrupt), (SystemExit(143), SystemExit), (TypeError(), SystemError),
])  # fmt: skip
def test_an_interruption_inside_a_call_is_one(cause, wanted):
    """As numba tells it: SystemError, 'returned a result with an exception set'."""

    def struck(_):
        raise SystemError("returned a result with an exception set") from cause

    with interpreted(), pytest.raises(wanted):
        kernel(struck)(1)
