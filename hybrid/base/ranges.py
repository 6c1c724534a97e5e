"""What values a setting may hold; config dataclasses check theirs in `__post_init__` with `check_fields`."""

from __future__ import annotations

import numbers
import typing
from collections.abc import Hashable
from functools import cache
from typing import Any, Literal, NamedTuple

from hybrid.base.errors import quote

__all__ = ["COUNT", "LARGEST", "NATURAL", "POSITIVE", "SHARE", "Range", "check_fields"]

LARGEST = 1e9  # no setting of this toolkit needs more


class Range(NamedTuple):
    """Numbers from `low` to `high`, both included, or without `low` itself."""

    low: float = -LARGEST
    high: float = LARGEST
    above: bool = False

    def holds(self, value: float) -> bool:
        """Tells whether a number lies inside; NaN and the infinities never do."""
        return self.low <= value <= self.high and not (self.above and value == self.low)

    def wanted(self, value: float) -> str:
        """Says what would be right instead of `value`."""
        if self.high < LARGEST and not self.above:
            return f"{self.low:.12g} to {self.high:.12g}"
        if value > self.high:
            return f"at most {self.high:.12g}"
        return f"{'more than' if self.above else 'at least'} {self.low:.12g}"


NATURAL, COUNT, POSITIVE, SHARE = Range(0), Range(1), Range(0, above=True), Range(0, 1)


@cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def check_fields(config: Any, **ranges: Range) -> None:
    """Checks the type of each field of a config dataclass, and the range of each number.

    Args:
      ranges: field → range; other numbers lie between ±`LARGEST`. Of a tuple each value is checked.

    Raises:
      ValueError: names field, value and what is wanted.
    """
    cls: Any = type(config)
    for name, hint in _hints(cls).items():
        _check(name, getattr(config, name), hint, ranges.get(name, Range()))


def _check(name: str, value: Any, hint: Any, allowed: Range) -> None:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if not isinstance(value, tuple):
            raise ValueError(f"{name} is '{quote(value)}', wanted a list")
        for item in value:
            _check(name, item, arguments[0], allowed)
    elif type(None) in arguments and value is None or origin is Literal:
        return  # of a choice the dataclass itself says what there is
    elif kinds := [kind for kind in (hint, *arguments) if kind in _WANTED]:
        _check_plain(name, value, kinds[0], allowed)


_WANTED = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _check_plain(name: str, value: Any, kind: Any, allowed: Range) -> None:
    types: Any = {int: numbers.Integral, float: numbers.Real}.get(kind, kind)
    if not isinstance(value, types) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name} is '{quote(value)}', wanted {_WANTED[kind]}")
    if kind in (int, float) and not allowed.holds(value):
        raise ValueError(f"{name} is {_short(value)}, wanted {allowed.wanted(value)}")


def _short(value: float) -> str:
    try:
        return f"{value:.12g}"
    except OverflowError:  # an integer beyond the floats
        return quote(value, 20)
