"""`hybrid doctor --compile`: made-up speech goes through every room that has kernels."""

from __future__ import annotations

import pytest

from hybrid.base.compiled import Kernel, import_kernels
from hybrid.cli.main import command
from hybrid.rehearsal import rehearse

# For k2, for lattices that a GPU found, for grammars that are not minimal, and what no command reaches.
UNUSED = {"hybrid.search.engines.k2_kernels", "hybrid.search.together.assemble_kernels", "hybrid.fst.equivalence",
          "hybrid.lattice.oracle", "hybrid.lattice.mbr_kernels"}  # fmt: skip


def reached(kernels: list[Kernel]) -> set[Kernel]:
    """Kernels and all that they call, which have no signatures of their own where the callers came from the cache."""
    found, left = set(kernels), list(kernels)
    while left:
        function = left.pop().py_func
        inner = {function.__globals__.get(name) for name in function.__code__.co_names}
        new = {kernel for kernel in inner if isinstance(kernel, Kernel)} - found
        found |= new
        left += new
    return found


@pytest.mark.slow
def test_the_rehearsal_calls_kernels_of_every_module():
    used, _ = rehearse(command)
    kernels = [kernel for kernel in import_kernels() if not kernel.__module__.startswith("tests.")]
    called = {kernel.__module__ for kernel in reached([kernel for kernel in kernels if kernel.signatures])}
    assert {kernel.__module__ for kernel in kernels} - called <= UNUSED
    assert used > 50
