"""Optional packages, imported where they are used."""

from __future__ import annotations

import importlib
from types import ModuleType

from hybrid.base.errors import MissingDependencyError

__all__ = ["import_k2", "import_optional"]


def import_optional(name: str, purpose: str, cure: str) -> ModuleType:
    """Imports a package or says in one line what needs it and how to get it.

    Raises:
      MissingDependencyError: the package is absent or does not load.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise MissingDependencyError(f"{purpose} needs the package {name} ({reason}). {cure}") from error


def import_k2(purpose: str) -> ModuleType:
    """Imports k2, whose binaries fit one exact torch."""
    return import_optional(
        "k2",
        purpose,
        "Install the stack that has it with `bash scripts/setup.sh` (Python 3.11, torch 1.13.1), or a k2 built "
        "for your torch from k2's own wheel page; `hybrid doctor` tells what fits.",
    )
