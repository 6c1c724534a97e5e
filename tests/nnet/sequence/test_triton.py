"""Triton's kernels compile for a GPU, also where there is none; what they compute is tested in the interpreter."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# In a process of its own: here the kernels are the interpreter's.
COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from hybrid.nnet.sequence import triton_kernels as kernels

REAL, ID, LONG, COUNT = "*fp32", "*i32", "*i64", "i32"
BY_STATE = {"STATES": 4, "ARCS": 16, "SEQUENCES": 32}
CASES = {
    "forward_step": ([REAL] * 6 + [ID] * 2 + [REAL] + [ID] * 2 + [REAL] + [COUNT] * 2, BY_STATE, 1),
    "groups_step": ([REAL] * 6 + [ID] * 2 + [REAL] + [COUNT] * 2, {"GROUPS": 16, "SEQUENCES": 32}, 1),
    "backward_step": ([REAL] * 6 + [LONG] + [ID] * 2 + [REAL] + [COUNT] * 3, BY_STATE, 1),
    "sequences_pass": ([REAL] + [LONG] * 3 + [ID] * 3 + [REAL] * 3 + [ID] * 4 + ["*fp64"] * 3 + [REAL] + [COUNT] * 3,
                       {"BACKWARD": True, "BLOCK": 512}, 4),
}
for name, (types, constants, warps) in CASES.items():
    kernel = getattr(kernels, name)
    signature = dict(zip(kernel.arg_names, types + ["constexpr"] * len(constants), strict=True))
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    code = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})
    # A load through the cache of constants would not see what the same program wrote a frame before.
    assert "ld.global.nc" not in code.asm["ptx"], name
    print(name)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_kernels_compile_for_a_gpu(tmp_path):
    outside = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, cwd=ROOT,
                          env={**outside, "PYTHONPATH": paths, "TRITON_CACHE_DIR": str(tmp_path)})  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["forward_step", "groups_step", "backward_step", "sequences_pass"]
