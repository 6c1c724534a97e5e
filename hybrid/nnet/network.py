"""What training and scoring know of a network, and the networks there are."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from hybrid.base.config import config_from_dict, config_to_dict
from hybrid.base.errors import InputError, quote

__all__ = ["ARCHITECTURES", "UNLIMITED", "Network", "Output", "build_network", "told_frames"]

ARCHITECTURES = {  # name → module and class
    "tdnnf": ("hybrid.nnet.tdnnf", "Tdnnf"),
    "conformer": ("hybrid.nnet.conformer", "Conformer"),
    "lstm": ("hybrid.nnet.lstm", "Lstm"),
}
UNLIMITED = 10**9  # context of a network that sees the whole utterance on that side


def told_frames(count: int) -> int | str:
    """Returns frames of context or delay as people read them: `unlimited` or their number."""
    return "unlimited" if count >= UNLIMITED else count


class Output(NamedTuple):
    """What a network says of a batch.

    Attributes:
      chain: [N][T'][P], scores as LF-MMI trains them, not normalised; None without such a head.
      xent: [N][T'][P], log-posteriors; None without such a head.
      lengths: int64 [N], frames of each utterance; what lies past them has no meaning.
    """

    chain: Tensor | None
    xent: Tensor | None
    lengths: Tensor


class Network(nn.Module):
    """Any network; a subclass sets the attributes and implements `forward`.

    Attributes:
      architecture: its name in `ARCHITECTURES`.
      config: its settings, a frozen dataclass.
      feature_dim, num_pdfs: columns of features and scores.
      subsampling_factor: frames of features per frame of scores.
      left_context, right_context: frame t of the scores sees frames t · factor − left … t · factor + right of the
        features; `UNLIMITED` where it sees the whole utterance on that side.
      chunk_context: frames of real context before and after that a training chunk carries.
    """

    architecture: ClassVar[str]
    Config: ClassVar[type]
    config: Any
    feature_dim: int
    num_pdfs: int
    subsampling_factor: int
    left_context: int
    right_context: int

    @property
    def chunk_context(self) -> tuple[int, int]:
        return self.left_context, self.right_context

    @property
    def delay(self) -> int:
        """Frames of features after a frame that its scores wait for, or `UNLIMITED`."""
        return self.right_context

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def num_frames(self, frames: int) -> int:
        """Frames of scores for so many frames of features."""
        return -(-frames // self.subsampling_factor)

    def forward(self, features: Tensor, lengths: Tensor, padded: bool = False) -> Output:
        """Scores a batch of utterances, or of chunks of them.

        Args:
          features: float [N][T][D]; with `padded` [N][left + T + right][D], chunks with the context that
            `chunk_context` asks for before and after. Frames past an utterance's end (a chunk's right context) are
            ignored.
          lengths: int64 [N], frames of each utterance or chunk, without the context.
        """
        raise NotImplementedError

    def constrain_(self) -> None:  # noqa: B027
        """Moves weights towards their constraint; training calls it every few steps."""

    def for_inference(self, head: str) -> Network:
        """Returns a copy that computes one head, `chain` or `xent`, and nothing that only training needs."""
        network = copy.deepcopy(self).eval().requires_grad_(False)
        for other in {"chain", "xent"} - {head}:
            setattr(network, other, None)
        return network

    def settings(self) -> dict[str, Any]:
        """Returns what `build_network` builds it from, plain values."""
        return {
            "architecture": self.architecture, "feature_dim": self.feature_dim, "num_pdfs": self.num_pdfs,
            "network": config_to_dict(self.config),
        }  # fmt: skip


def build_network(
    architecture: str, network: Mapping[str, Any], feature_dim: int, num_pdfs: int, place: object = "network",
    held: int | None = None,
) -> Network:  # fmt: skip
    """Builds a network with random weights (torch's generator).

    Args:
      architecture: its name. network: its settings; the others keep their defaults.
      held: numbers in the file whose weights it will get; a network that has more is refused before it is built.

    Raises:
      InputError: an unknown name, or settings that the network refuses.
    """
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise InputError.at(place, f"architecture is '{quote(architecture)}'; wanted one of {', '.join(ARCHITECTURES)}")
    module, name = ARCHITECTURES[architecture]
    cls = getattr(importlib.import_module(module), name)
    for what, value in (("feature_dim", feature_dim), ("num_pdfs", num_pdfs)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
            raise InputError.at(place, f"{what} is '{quote(value)}', wanted 1 to 1000000")
    config = config_from_dict(cls.Config, network, place)
    least = max(config.least_size, feature_dim, num_pdfs)
    if held is not None and least > held:
        raise InputError.at(place, f"its settings ask for {least} weights, the file holds {held}")
    try:
        return cls(config, feature_dim, num_pdfs)
    except ValueError as error:
        raise InputError.at(place, str(error), "Mend the settings.") from error
