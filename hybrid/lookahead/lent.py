"""Arrays handed on within kernels as bare pointers.

An array that numba hands on has its owners counted at each call, and brings its shape along; with thirty of them in a
named tuple that is most of what a small kernel does. A pointer is one number.
"""

from __future__ import annotations

from typing import Any, TypeVar

from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload

__all__ = ["lent"]

T = TypeVar("T")


def lent(value: T) -> T:
    """Returns a named tuple with pointers in place of its arrays, also of those of tuples in it; see the module.

    They can be read and written at one index, rows of a table one after the other; they have no length, count no index
    from the end, and do not keep their memory: the caller must.
    """
    return value


def _pointers(kind: Any) -> Any:
    """The type of a value that is lent."""
    if isinstance(kind, types.Array):
        if kind.layout != "C":
            raise TypingError("an array that is lent must lie in memory without gaps")
        return types.CPointer(kind.dtype)
    if isinstance(kind, types.BaseTuple):
        inner = [_pointers(one) for one in kind.types]  # type: ignore[attr-defined]
        return types.BaseTuple.from_types(inner, kind.instance_class)  # type: ignore[attr-defined]
    return kind


@intrinsic
def _pointed(_typing: Any, value: Any) -> Any:
    def taken(context: Any, builder: Any, kind: Any, held: Any) -> Any:
        """The value with where arrays begin in place of them."""
        if isinstance(kind, types.Array):
            return context.make_array(kind)(context, builder, held).data
        if isinstance(kind, types.BaseTuple):
            inner = kind.types  # type: ignore[attr-defined]
            values = [taken(context, builder, one, builder.extract_value(held, i)) for i, one in enumerate(inner)]
            return context.make_tuple(builder, _pointers(kind), values)
        return held

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return taken(context, builder, signature.args[0], values[0])

    return _pointers(value)(value), generate


@overload(lent)
def _lent(value: Any) -> Any:
    def handed_on(value: Any) -> Any:  # the very parameter of the function around it, as numba wants
        return _pointed(value)  # type: ignore[call-arg]

    return handed_on
