"""The kinds of acoustic model that a folder may hold, and how each is written and read.

A kind registers itself; those of this package are imported when a folder names them. Another package registers its own
before it loads a model:

>>> @register("toy")
... class Toy(AcousticModelBase):
...     def arrays(self): ...
...     def settings(self): ...
...     @classmethod
...     def from_arrays(cls, arrays, settings): ...
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.model.protocol import AcousticModel

__all__ = ["StoredModel", "kind_named", "kind_of", "register"]

BUILT_IN = {"gmm": "hybrid.gmm.acoustic", "nnet": "hybrid.nnet.acoustic"}  # kind → module that registers it


class StoredModel(AcousticModel, Protocol):
    """An acoustic model that a folder can hold."""

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Returns its parameters by name."""

    def settings(self) -> Mapping[str, Any]:
        """Returns what else it is made of, plain values."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> StoredModel:
        """Builds it again.

        Raises:
          ValueError, KeyError, TypeError: they do not make one.
        """


C = TypeVar("C", bound=type)
_KINDS: dict[str, type] = {}


def register(kind: str) -> Callable[[C], C]:
    """Registers a class as a kind of model, under the name that folders carry in config.yaml."""

    def decorate(cls: C) -> C:
        """Registers the class, unless the kind has another."""
        known = _KINDS.setdefault(kind, cls)
        if known is not cls and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"kind '{kind}' is registered already, for {known.__module__}.{known.__qualname__}")
        _KINDS[kind] = cls
        return cls

    return decorate


def kind_named(kind: object, place: object) -> type[StoredModel]:
    """Returns the class of a kind.

    Raises:
      InputError: nobody registered it.
    """
    if isinstance(kind, str) and kind not in _KINDS and kind in BUILT_IN:
        importlib.import_module(BUILT_IN[kind])
    if not isinstance(kind, str) or kind not in _KINDS:
        known = ", ".join(sorted({*BUILT_IN, *_KINDS}))
        raise InputError.at(
            place, f"kind is '{quote(kind)}'; wanted one of {known}",
            "Import the package that knows it, or train the model again.",
        )  # fmt: skip
    return _KINDS[kind]


def kind_of(model: AcousticModel) -> str:
    """Returns the name that a model's class was registered under.

    Raises:
      TypeError: it was not.
    """
    for kind, cls in _KINDS.items():
        if type(model) is cls:
            return kind
    raise TypeError(f"no kind of model is registered for {type(model).__name__}; see hybrid.model.kinds.register")
