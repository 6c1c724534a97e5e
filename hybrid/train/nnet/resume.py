"""Where a training begins: at its first step, or where a killed one was."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import nn

from hybrid.base.disk import make_folder
from hybrid.base.log import get_logger
from hybrid.train.gmm.begin_and_end import work_dir
from hybrid.train.nnet.average import FOLDER, leave_out_damaged
from hybrid.train.nnet.checkpoint import TrainState, load_network, load_state, network_arrays
from hybrid.train.nnet.config import OptimiserConfig
from hybrid.train.nnet.optimiser import Optimiser

__all__ = ["begin_or_resume"]

logger = get_logger(__name__)


def begin_or_resume(
    network: nn.Module, config: OptimiserConfig, out_dir: Path, identity: str, is_first: bool
) -> tuple[Path, Optimiser, TrainState]:
    """Puts a network and its optimiser where a killed training of this identity was, if there is one.

    Args:
      is_first: this process is the first of the group: it takes away what another training left.

    Returns:
      The file of the state, the optimiser, and the state.
    """
    path = make_folder(work_dir(out_dir)) / "state.safetensors"
    first = {name: array.copy() for name, array in network_arrays(network).items()}
    optimiser = Optimiser(network, config)
    state = load_state(path, network, optimiser, identity)
    if state is None or (state.step and not state.learnt):
        load_network(network, first, path)
        if is_first:
            shutil.rmtree(out_dir / FOLDER, ignore_errors=True)
        return path, Optimiser(network, config), TrainState()
    if is_first:
        leave_out_damaged(out_dir)
    if state.step:
        logger.info("%s: goes on after step %d", out_dir, state.step)
    return path, optimiser, state
