"""Fixtures that find real speech and the peers' programs, or skip with a line that says what is absent; and what
several rooms test with."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from hybrid.formats.openfst import FstArrays

# Triton's interpreter stands in for a GPU; it must be chosen before any test imports Triton.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# The gate draws the same examples each time; `--hypothesis-profile=random` looks for new ones.
settings.register_profile("fixed", derandomize=True)
settings.register_profile("random", derandomize=False, print_blob=True)
settings.load_profile("fixed")

SHARED = Path(os.environ.get("HYBRID_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def _need(path: Path, what: str, variable: str) -> Path:
    if not path.exists():
        pytest.skip(f"{what} not found at {path} (set {variable})")
    return path


@pytest.fixture(autouse=True)
def _plain_loggers() -> Iterator[None]:
    """Takes back what a command run in this process did to the package's loggers: caplog sees no line otherwise."""
    loggers = [logging.getLogger(name) for name in ("hybrid", "lexicon", "lm")]
    before = [(logger.level, logger.propagate, logger.handlers[:]) for logger in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before):
        logger.setLevel(level)
        logger.propagate, logger.handlers[:] = propagate, handlers


@pytest.fixture(autouse=True)
def _plain_interruption() -> Iterator[None]:
    """Takes back what `hybrid.cli.main.main` does to Ctrl-C at its end, where its process ends."""
    before = signal.getsignal(signal.SIGINT)
    yield
    if signal.getsignal(signal.SIGINT) is not before:
        signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real corpora (LibriSpeech pieces, fsdd, waves_yesno, cmudict, text)."""
    return _need(SHARED / "corpora", "corpora", "HYBRID_SHARED")


@pytest.fixture(scope="session")
def peers() -> Path:
    """The folder of what Kaldi and KenLM made of the same data."""
    return _need(SHARED / "peers", "peers' files", "HYBRID_SHARED")


@pytest.fixture(scope="session")
def kaldi_bin() -> Path:
    """The folder of Kaldi's and KenLM's programs: $KALDI_BIN, or where compute-mfcc-feats is on the PATH."""
    found = os.environ.get("KALDI_BIN") or shutil.which("compute-mfcc-feats")
    if not found:
        pytest.skip("Kaldi's programs not found (set KALDI_BIN to their folder)")
    path = Path(found)
    return path if path.is_dir() else path.parent


@pytest.fixture(scope="session")
def forget_files() -> Callable[[Path], None]:
    """Takes the hashes of its files out of an artifact's record, as if an older version had made it."""

    def forget(folder: Path) -> None:
        record = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        record.pop("files", None)
        (folder / "meta.json").write_text(json.dumps(record), encoding="utf-8")

    return forget


@pytest.fixture(scope="session")
def strings() -> Callable[..., dict]:
    """Returns a function: acyclic FST → {(inputs, outputs): cost}, by walking every path."""

    def walk(fst: FstArrays, log: bool = False) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
        found: dict = {}
        stack = [(fst.start, (), (), 0.0)] if fst.start >= 0 else []
        while stack:
            state, xs, ys, cost = stack.pop()
            if np.isfinite(fst.final_costs[state]):
                total, old = cost + float(fst.final_costs[state]), found.get((xs, ys), np.inf)
                found[xs, ys] = -np.logaddexp(-total, -old) if log else min(total, old)
            for arc in range(fst.row_splits[state], fst.row_splits[state + 1]):
                x, y = int(fst.ilabels[arc]), int(fst.olabels[arc])
                stack.append(
                    (
                        int(fst.next_states[arc]),
                        xs + (x,) * (x > 0),
                        ys + (y,) * (y > 0),
                        cost + float(fst.costs[arc]),
                    )
                )
        return found

    return walk


@pytest.fixture(scope="session")
def same_strings() -> Callable[[dict, dict, float], None]:
    """Returns a function that asserts equal strings of equal cost."""

    def check(first: dict, second: dict, tolerance: float = 1e-4) -> None:
        assert first.keys() == second.keys()
        for key, cost in first.items():
            assert abs(cost - second[key]) < tolerance, key

    return check


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips k2 tests where k2 does not import, and GPU tests where there is no GPU."""
    for item in items:
        if item.get_closest_marker("k2"):
            try:
                import k2  # noqa: F401
            except (ImportError, OSError):
                item.add_marker(pytest.mark.skip(reason="k2 is not installed in this stack"))
        if item.get_closest_marker("gpu"):
            import torch

            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))
