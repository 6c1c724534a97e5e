"""`hybrid doctor --compile`: made-up speech goes through every room that has kernels."""

from __future__ import annotations

import pytest

from hybrid.base.compiled import import_kernels
from hybrid.cli.rehearsal import rehearse

# For k2, for oracles, for grammars that are not minimal; and what only other kernels call.
UNUSED = {"hybrid.search.engines.k2_kernels", "hybrid.lattice.oracle", "hybrid.fst.equivalence",
          "hybrid.base.log_math"}  # fmt: skip


@pytest.mark.slow
def test_the_rehearsal_calls_kernels_of_every_module():
    used, _ = rehearse()
    kernels = [kernel for kernel in import_kernels() if not kernel.__module__.startswith("tests.")]
    called = {kernel.__module__ for kernel in kernels if kernel.signatures}
    assert {kernel.__module__ for kernel in kernels} - called <= UNUSED
    assert used > 50
