"""A word to the processor that a row of an array will be needed soon; its arrival is not waited for."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

__all__ = ["fetch"]


def fetch(array: np.ndarray, row: Any) -> None:
    """Asks for the cache line of one element, or row, of an array (or a lent one); outside kernels it does nothing."""


@intrinsic
def _prefetch(_typing: Any, array: Any, row: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        """Writes the instruction: the place is where the array begins, and the number of rows by their width."""
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        if isinstance(signature.args[0], types.CPointer):
            address = builder.bitcast(builder.gep(values[0], [values[1]]), byte)
        else:
            view = context.make_array(signature.args[0])(context, builder, values[0])
            stride = builder.extract_value(view.strides, 0)
            wide = values[1] if values[1].type == stride.type else builder.sext(values[1], stride.type)
            address = builder.gep(builder.bitcast(view.data, byte), [builder.mul(wide, stride)])
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        builder.call(function, [address, number(0), number(3), number(1)])  # to read, near, data
        return context.get_dummy_value()

    return types.none(array, row), generate


@overload(fetch)
def _fetch(array: Any, row: Any) -> Any:
    def asked(array: Any, row: Any) -> None:  # the very parameters of the function around it, as numba wants
        _prefetch(array, row)  # type: ignore[call-arg]

    return asked
