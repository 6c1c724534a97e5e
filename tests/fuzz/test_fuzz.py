"""A few seconds of the fuzzer, the same each time; and whatever it found before, read again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

FUZZER = Path(__file__).with_name("fuzz.py")


def run(*arguments: str) -> str:
    """Runs the fuzzer in a process of its own, since it limits memory and forks; returns what it said."""
    done = subprocess.run(
        [sys.executable, str(FUZZER), "--no-save", *arguments],
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_damaged_files_end_in_a_value_or_in_our_error():
    assert " readers " in run("--cases", "1200", "--seconds", "15", "--seed", "1")


def endless(path: Path, _: Path) -> None:
    while True:
        path.exists()


def killed(path: Path, _: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


READERS: dict[str, tuple[Callable, str]] = {
    "raises": (lambda path, _: [][1], "IndexError at "),
    "hangs": (endless, "no progress"),
    "grows": (lambda path, _: bytearray(2 << 30), "MemoryError at "),
    "dies": (killed, "signal 9"),
    "babbles": (lambda path, _: (_ for _ in ()).throw(click.UsageError("x" * 2000)), "longer than a screen"),
}


@pytest.mark.parametrize("name", READERS)
def test_what_breaks_the_promise_is_found(tmp_path, monkeypatch, name):
    monkeypatch.syspath_prepend(str(FUZZER.parent))
    import formats
    import fuzz

    if name == "hangs":
        monkeypatch.setattr(fuzz, "CASE_SECONDS", 0.2)
    (tmp_path / "file").write_bytes(b"1 2 3\n")
    use, wanted = READERS[name]
    fuzzer = fuzz.Fuzzer(tmp_path, {name: formats.Reader("file", use)}, 1, tmp_path / "found")
    tally = fuzzer.run(name, 2, time.monotonic() + 60)
    assert tally.cases == 2 and sum(tally.findings.values()) == 2 and all(wanted in what for what in tally.findings)
    assert list((tmp_path / "found").glob(f"{name}-*.bin")) and (tmp_path / "file").read_bytes() == b"1 2 3\n"


def test_cases_are_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FUZZER.parent))
    import formats
    import fuzz

    (tmp_path / "file").write_bytes(b"1 2 3\n")
    first, second = (fuzz.Fuzzer(tmp_path, {"r": formats.Reader("file", killed)}, seed) for seed in (1, 1))
    cases = [first.case("r", n, [b"1 2 3\n"]) for n in range(200)]
    assert cases == [second.case("r", n, [b"1 2 3\n"]) for n in range(200)]
    assert len(set(cases)) > 150
