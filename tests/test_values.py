"""Every dataclass of the package can be compared and hashed: by content where that has a use, by identity elsewhere."""

from __future__ import annotations

import collections.abc
import dataclasses
import importlib
import types
import typing
from typing import Any

import numpy as np
import pytest

from hybrid.base.content import ByContent
from hybrid.feats.cmvn import CmvnStats
from hybrid.feats.transform import LinearTransform
from tests.packages import modules


def dataclasses_of_the_package() -> list[type]:
    """Returns every dataclass defined in a module of ours, each once."""
    found = {}
    for module in modules():
        for value in vars(module).values():
            if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__:
                found[f"{module.__name__}.{value.__qualname__}"] = value
    return [found[name] for name in sorted(found)]


_open: list[type] = []  # classes of which an example is being made: one that holds itself ends there


def example(hint: Any) -> Any:
    """Returns a new value of a type, never the same object twice: an array of three, a dict of one, …"""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is np.ndarray or origin is np.ndarray:
        return np.arange(3.0)
    if origin in (typing.Union, getattr(types, "UnionType", typing.Union)):
        return example(next(kind for kind in inner if kind is not type(None)))
    if origin in (tuple, collections.abc.Sequence):
        return tuple(example(kind) for kind in inner if kind not in (Ellipsis, *_open))
    kind = origin or hint
    if kind in (dict, collections.abc.Mapping, collections.Counter):
        return {"key": example(inner[-1]) if inner else 1}
    if kind is list:
        return [example(inner[0]) if inner else 1]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind not in _open:
        return instance(kind)
    return kind() if kind in (int, float, str, bool, bytes) else object()


def instance(cls: type) -> Any:
    """Returns an object of a dataclass with every field filled by its type; its own checks are passed by."""
    made = object.__new__(cls)
    _open.append(cls)
    for name, hint in hints_of(cls).items():
        object.__setattr__(made, name, example(hint))
    _open.pop()
    return made


def hints_of(cls: type) -> dict[str, Any]:
    """Returns field → type; a type imported for the type checker alone is any object."""
    hints = {}
    for field in dataclasses.fields(cls):
        try:
            space = {**vars(importlib.import_module(cls.__module__)), "np": np}
            hints[field.name] = eval(str(field.type), space) if isinstance(field.type, str) else field.type
        except (NameError, TypeError, AttributeError):
            hints[field.name] = object
    return hints


@pytest.mark.parametrize("cls", dataclasses_of_the_package(), ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_comparing_and_hashing_never_raise(cls):
    one, other = instance(cls), instance(cls)
    assert isinstance(one == other, bool)
    assert one == one
    assert isinstance(hash(one), int)
    assert one != "something else"
    assert len({one, one}) == 1


def test_arrays_are_equal_by_content():
    def transform(last: float, dtype: type = np.float32) -> LinearTransform:
        return LinearTransform("lda", np.array([[1, 0, 2], [0, 1, last]], dtype), 2)

    assert transform(3) == transform(3)
    assert hash(transform(3)) == hash(transform(3))
    assert transform(3) != transform(4)
    assert transform(3) in {transform(3)}
    stats = CmvnStats(2.0, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    assert stats == CmvnStats(2.0, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    assert stats != CmvnStats(2.0, np.array([1.0, 2.0]), np.array([3.0, 5.0]))
    assert stats != transform(3)


def test_arrays_of_two_types_or_shapes_are_not_equal():
    @dataclasses.dataclass(frozen=True, eq=False)
    class Value(ByContent):
        array: np.ndarray | None
        table: dict[str, int]

    zeros = Value(np.zeros(3), {"a": 1})
    assert zeros == Value(np.zeros(3), {"a": 1})
    assert hash(zeros) == hash(Value(np.zeros(3), {"a": 1}))
    for array in (np.zeros(3, np.float32), np.zeros(4), np.zeros((3, 1)), None):
        assert zeros != Value(array, {"a": 1})
        assert isinstance(hash(Value(array, {"a": 1})), int)
    assert zeros != Value(np.zeros(3), {"a": 2})
