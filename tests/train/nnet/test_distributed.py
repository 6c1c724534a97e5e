"""Two processes of torchrun: the same gradients as one process that accumulates their batches."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.formats.tensors import load_arrays
from hybrid.train.nnet.distributed import process_group

YAML = """
network: {architecture: tdnnf, dim: 16, bottleneck_dim: 8, prefinal_dim: 8, time_strides: [1, 1], first_context: 1,
          subsampling_factor: 1, chain: false}
batches: {chunk_frames: [20], batch_frames: 160}
optimiser: {optimiser: %s, momentum: 0, learning_rate: 1.0, final_learning_rate: 1.0, clip: 0, accumulate: 2}
training: {epochs: %s, heldout: 4}
"""


def run(
    folder, model, store, name: str, epochs: float, processes: int, optimiser: str = "sgd"
) -> dict[str, np.ndarray]:
    (folder / "xent.yaml").write_text(YAML % (optimiser, epochs))
    command = [sys.executable, "-m", "hybrid.cli.main", "nnet", "train", "--objective", "xent",
               "--config", str(folder / "xent.yaml"),
               "--feats", str(store.path), "--model", str(model.path), "--ali", str(model.path),
               "--out-dir", str(folder / name)]  # fmt: skip
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(processes):  # what torchrun sets; its own start-up fails in torch 1.13 on Python 3.11
        group = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": processes,
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": port,
        }
        env = {**os.environ, "OMP_NUM_THREADS": "1", **{k: str(v) for k, v in group.items()}}
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env))
    for process in started:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors[-3000:]
    return load_arrays(folder / name / "final.safetensors")[0]


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["sgd", "natural"])
def test_two_processes_give_the_gradients_of_one(tmp_path, model, store, optimiser) -> None:
    one, two = (run(tmp_path, model, store, f"of{n}", 0.001, n, optimiser) for n in (1, 2))  # a step of two batches
    moved = 0
    for name in one:
        if name.endswith((".weight", ".bias")):
            np.testing.assert_allclose(one[name], two[name], atol=2e-5, err_msg=name)
            moved += 1
    assert moved > 5


@pytest.mark.slow
def test_two_processes_train_to_the_end(tmp_path, model, store) -> None:
    arrays = run(tmp_path, model, store, "of2", 2.0, 2)
    assert all(np.isfinite(array).all() for array in arrays.values())
    rows = (tmp_path / "of2" / "passes.tsv").read_text().splitlines()
    assert len(rows) == 5


def test_a_device_that_is_absent_is_told() -> None:
    import torch

    with pytest.raises(InputError, match="device: is 'gpu'. Choose cpu, cuda or cuda:NUMBER."):
        with process_group("gpu"):
            pass
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device: is 'cuda', but 0 GPUs can be used here. Choose cpu."):
            with process_group("cuda"):
                pass


def test_torchrun_starts_as_recipes_call_it(tmp_path: Path) -> None:
    """torch 1.13's own fails on Python 3.11 with other values of -r and -t."""
    text = (Path(__file__).resolve().parents[3] / "scripts/chain.sh").read_text(encoding="utf-8")
    words = text[text.index("(torchrun ") + 1 : text.index(" -m hybrid.cli.main")].replace('"$processes"', "2").split()
    script = tmp_path / "say.py"
    script.write_text("import os\nprint('rank', os.environ['RANK'])\n")
    torchrun = Path(sys.executable).with_name(words[0])
    done = subprocess.run([torchrun, *words[1:], script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "rank 0" in done.stdout and "rank 1" in done.stdout
