"""`hybrid doctor --compile`: made-up speech goes through every room that has kernels."""

from __future__ import annotations

import pytest

from hybrid.base.compiled import import_kernels
from hybrid.cli.rehearsal import rehearse

# For k2, for oracles, for grammars that are not minimal, and for training graphs with epsilons from outside.
UNUSED = {"hybrid.graph.k2_kernels", "hybrid.lattice.oracle", "hybrid.graph.equivalence", "hybrid.align.kernels"}


@pytest.mark.slow
def test_the_rehearsal_calls_kernels_of_every_module():
    used, _ = rehearse()
    kernels = import_kernels()
    called = {kernel.__module__ for kernel in kernels if kernel.signatures}
    assert {kernel.__module__ for kernel in kernels} - called <= UNUSED
    assert used > 50
