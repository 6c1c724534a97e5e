"""Loads the recipes' own scripts as modules, and runs recipes in an environment that is set up already."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project."""
    return ROOT


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Loads a script by its path in the project."""

    def load(path: str) -> ModuleType:
        name = path.replace("/", "_").removesuffix(".py")
        spec = importlib.util.spec_from_file_location(name, ROOT / path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Variables under which a recipe takes the Python that runs the tests."""
    return {**os.environ, "HYBRID_ENV": sys.prefix}


@pytest.fixture(scope="session")
def digits(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each digit: seven takes of one speaker to train and one to test, and one take of another to train."""
    folder = tmp_path_factory.mktemp("digits")
    (folder / "recordings").mkdir()
    takes = [("jackson", take) for take in (3, *range(5, 12))] + [("theo", 5)]
    for digit in range(10):
        for speaker, take in takes:
            name = f"{digit}_{speaker}_{take}.wav"
            (folder / "recordings" / name).symlink_to(corpora / "fsdd" / "recordings" / name)
    return folder
