"""Equality by content for dataclasses that hold arrays, mappings or lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

__all__ = ["ByContent"]


class ByContent:
    """Compares a dataclass field by field; write `@dataclass(frozen=True, eq=False)` over its heirs.

    What a dataclass itself generates compares fields as tuples, and an array in a tuple raises. Two objects
    are equal if they are of one class and their fields are; two arrays if they are of one dtype and shape and
    hold the same values. The hash comes from the fields that can be hashed and from the sizes of the others,
    so it costs nothing even for large arrays.
    """

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not type(self):
            return NotImplemented
        return all(_same(mine, theirs) for mine, theirs in zip(_fields(self), _fields(other)))

    def __hash__(self) -> int:
        return hash((type(self), *map(_hashable, _fields(self))))


def _fields(value: Any) -> list[Any]:
    return [getattr(value, field.name) for field in dataclasses.fields(value) if field.compare]


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "shape")  # without an import: `--help` answers at once


def _same(one: Any, other: Any) -> bool:
    if _is_array(one) or _is_array(other):
        import numpy as np

        return getattr(one, "dtype", None) == getattr(other, "dtype", None) and np.array_equal(one, other)
    return bool(one == other)


def _hashable(value: Any) -> Any:
    if _is_array(value):
        return value.shape
    return len(value) if isinstance(value, (Mapping, list)) else value
