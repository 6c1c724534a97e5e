"""Models kept along the way, and their average: often better than any of them (Polyak and Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hybrid.base.artifact import atomic_path
from hybrid.base.disk import make_folder
from hybrid.base.errors import InputError
from hybrid.base.locks import is_ours
from hybrid.base.log import get_logger
from hybrid.base.reading import parse_json, reading
from hybrid.formats.tensors import load_arrays, load_metadata
from hybrid.nnet.layers import BatchNorm
from hybrid.train.gmm.state import require_unchanged, write_record
from hybrid.train.nnet.checkpoint import load_network, network_arrays
from hybrid.train.nnet.data import Example
from hybrid.train.nnet.forward import forward

__all__ = ["FOLDER", "Kept", "average_arrays", "choose", "keep_model", "kept_models", "leave_out_damaged",
           "renew_statistics"]  # fmt: skip

FOLDER = "checkpoints"
REMOVE = "Remove it: the training goes on, and an average is made, without it."

logger = get_logger(__name__)


@dataclass(frozen=True)
class Kept:
    """A model of an earlier measurement.

    Attributes:
      number: of the measurement. objective: on the held-out data, or the training data where none was held out.
    """

    path: Path
    number: int
    objective: float


def keep_model(out_dir: Path, network: nn.Module, number: int, objective: float, most: int, best: bool) -> None:
    """Saves a model, and removes those beyond the `most` last, or best, ones."""
    folder = make_folder(out_dir / FOLDER)
    for left in folder.glob(".tmp*"):  # by a kill in the middle of this
        left.unlink()
    record = {"number": number, "objective": objective}
    write_record(folder / f"{number:04d}.safetensors", network_arrays(network), record)
    kept = kept_models(out_dir)
    wanted = {each.number for each in choose(kept, most, best)} | {number}
    for each in kept:
        if each.number not in wanted:
            each.path.unlink()


def kept_models(out_dir: Path) -> list[Kept]:
    """Lists the models kept in a model folder, in their order.

    Raises:
      InputError: one is damaged.
    """
    return [_kept(path, load_metadata) for path in _files(out_dir)]


def leave_out_damaged(out_dir: Path) -> None:
    """Renames models that cannot be read to NAME.damaged, so that a training goes on without them, and tells each.

    Raises:
      InputError: one cannot be renamed.
    """
    for path in _files(out_dir):
        try:
            _kept(path, lambda path: _load(path)[1])
        except InputError as error:
            try:
                path.rename(f"{path}.damaged")
            except OSError as fault:
                raise InputError.at(path, f"{error.found}, and cannot be renamed ({fault.strerror})", REMOVE) from fault
            logger.warning("%s: %s; it is left out, and renamed to %s.damaged", path, error.found, path.name)


def _files(out_dir: Path) -> list[Path]:
    return sorted(p for p in (Path(out_dir) / FOLDER).glob("*.safetensors") if not is_ours(p))


def _load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    arrays, metadata = load_arrays(path)
    require_unchanged(path, arrays, metadata, REMOVE)
    return arrays, metadata


def _kept(path: Path, metadata_of: Callable[[Path], Mapping[str, str]]) -> Kept:
    try:
        with reading(path, "model of a training", REMOVE):
            record = parse_json(metadata_of(path)["record"], path)
            return Kept(path, int(record["number"]), float(record["objective"]))
    except InputError as error:
        raise InputError.at(path, error.found, REMOVE) from error


def choose(kept: Sequence[Kept], count: int, best: bool) -> list[Kept]:
    """Returns the `count` last or best ones; of equal ones the later."""
    order = sorted(kept, key=lambda each: (each.objective, each.number) if best else (each.number,))
    return order[-count:]


def average_arrays(paths: Iterable[Path]) -> dict[str, np.ndarray]:
    """Averages parameters and statistics of models; whole numbers are taken from the last.

    Raises:
      InputError: no model, or models of different networks.
    """
    total: dict[str, np.ndarray] = {}
    count, first = 0, None
    for path in paths:
        arrays, _ = _load(path)
        if total and {k: v.shape for k, v in arrays.items()} != {k: v.shape for k, v in total.items()}:
            raise InputError.at(path, f"is of another network than {first}", "Average models of one training.")
        first = first or path
        for name, array in arrays.items():
            is_real = array.dtype.kind == "f"
            total[name] = total[name] + array.astype(np.float64) if is_real and count else (
                array.astype(np.float64) if is_real else array
            )  # fmt: skip
        count += 1
    if not count:
        raise InputError.at("models", "none is there to average", "Train first; a training that ends "
                            "with this begins afresh once work/ of its folder is removed.")  # fmt: skip
    return {k: (v / count).astype(np.float32) if v.dtype.kind == "f" else v for k, v in total.items()}


@torch.no_grad()
def renew_statistics(network: nn.Module, examples: Iterable[Example], device: torch.device) -> None:
    """Measures the batch normalisation's means and variances anew, as an average over examples.

    An average of parameters has other activations than the models that it was made of.

    Raises:
      InputError: no example has an utterance.
    """
    logger.info("measuring batch statistics of the average anew, over features of the training data")
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    before = [(module.momentum, module.training) for module in norms]
    was = network.training
    network.eval()  # no dropout
    for module in norms:
        module.reset_statistics()
        module.momentum = None
        module.train()
    found, reason = False, "there is no utterance"
    for example in examples:
        reason = next(iter(example.failed.values()), reason)
        if example.names:
            forward(network, example, device)
            found = True
    if not found:
        raise InputError.at("features", f"none can be used for batch statistics: {reason}", "Mend them, and run again.")
    network.train(was)
    for module, (momentum, training) in zip(norms, before):
        module.momentum = momentum
        module.train(training)


def load_average(network: nn.Module, chosen: Sequence[Kept]) -> None:
    """Puts the average of models into a network."""
    arrays: Mapping[str, np.ndarray] = average_arrays(each.path for each in chosen)
    load_network(network, arrays, chosen[-1].path if chosen else FOLDER)


def write_numbers(path: Path, names: Iterable[str]) -> None:
    """Writes one name a line, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
