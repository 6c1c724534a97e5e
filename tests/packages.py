"""Every module of the packages, for tests of all classes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import hybrid
import lexicon
import lm

OPTIONAL = {"k2", "triton"}


def modules() -> Iterator[ModuleType]:
    """Yields them imported, but those of an engine or a processor that is not here."""
    for package in (hybrid, lexicon, lm):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            try:
                yield importlib.import_module(info.name)
            except ModuleNotFoundError as missing:
                assert missing.name in OPTIONAL, info.name
