"""Arrays handed on within kernels without a count of references, which would lock a word of memory each time."""

from __future__ import annotations

from typing import Any, TypeVar

from numba import types
from numba.extending import intrinsic, overload

__all__ = ["lent"]

T = TypeVar("T")


def lent(value: T) -> T:
    """Returns a named tuple whose arrays, also those of tuples in it, do not keep their memory; the caller must."""
    return value


@intrinsic
def _uncounted(_typing: Any, value: Any) -> Any:
    def strip(context: Any, builder: Any, kind: Any, held: Any) -> Any:
        """The value with nobody named who keeps its arrays."""
        if isinstance(kind, types.Array):
            for place in range(2):  # the memory's count, and the object of Python that it is of
                held = builder.insert_value(held, held.type.elements[place](None), place)
            return held
        if isinstance(kind, types.BaseTuple):
            for place, inner in enumerate(kind.types):  # type: ignore[attr-defined]
                kept = strip(context, builder, inner, builder.extract_value(held, place))
                held = builder.insert_value(held, kept, place)
        return held

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return strip(context, builder, signature.args[0], values[0])

    return value(value), generate


@overload(lent)
def _lent(value: Any) -> Any:
    def handed_on(value: Any) -> Any:  # the very parameter of the function around it, as numba wants
        return _uncounted(value)  # type: ignore[call-arg]

    return handed_on
