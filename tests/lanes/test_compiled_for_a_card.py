"""The kernels of token passing compile for a GPU, also where there is none; what they compute is tested interpreted."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own: here the kernels are the interpreter's.
COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from hybrid.lanes import backward_kernels, card_kernels, cutoff_kernels

TYPES = {
    "*i8": "kept_links kept_inner",
    "*fp64": "log_score cutoff width settings totals kept_totals link_slack inner_slack",
    "*fp32": "arc_scores frames link_acoustic",
    "*i64": "counters lane_ends best limited lengths bases kept_ends claimed rows keys wave following marks "
            "extra lane_log link_sources link_targets link_bounds inner_sources inner_targets inner_bounds",
    "*i32": "block_owners log_lane log_state lane_counts bounds sizes ends block_sizes kept_sizes arcs owners "
            "link_source link_target link_arc inner_source inner_target inner_arc",
    "i32": "max_active min_active room room_tokens log_room frame_count num_pdfs states levels depth lanes number",
    "fp32": "beam",
}
TYPE = {name: kind for kind, names in TYPES.items() for name in names.split()}
modules = cutoff_kernels, backward_kernels, card_kernels
for name, kernel in [(name, getattr(m, name)) for m in modules for name in m.__all__]:
    sizes = [parameter for parameter in kernel.params if TYPE.get(parameter.name) == "i32"]
    assert all(parameter.do_not_specialize for parameter in sizes), name  # else compiled anew for other sizes
    constants = {name: 256 for name in ("BLOCK", "EACH") if name in kernel.arg_names}
    signature = {arg: "constexpr" if arg in constants else TYPE[arg] for arg in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    code = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4, "enable_fp_fusion": False})
    ptx = code.asm["ptx"]
    assert "fma.rn.f64" not in ptx, name  # scores would differ from the twin's in their last bit
    # A load through the cache of constants would not see what the same launch wrote.
    assert "ld.global.nc" not in ptx, name
    print(name)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_kernels_compile_for_a_gpu(tmp_path):
    from hybrid.lanes import backward_kernels, card_kernels

    outside = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, cwd=ROOT,
                          env={**outside, "PYTHONPATH": paths, "TRITON_CACHE_DIR": str(tmp_path)})  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["cutoffs", *backward_kernels.__all__, *card_kernels.__all__]
