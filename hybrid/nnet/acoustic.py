"""A network behind the AcousticModel door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from hybrid.base.errors import quote
from hybrid.model.chunks import ScoreStream, require_pairs
from hybrid.model.kinds import register
from hybrid.model.protocol import AcousticModelBase
from hybrid.nnet.layers import zeros_past_end
from hybrid.nnet.network import Network, build_network
from hybrid.nnet.quantise import PRECISIONS, at_precision
from hybrid.nnet.stages import StagedNetwork

__all__ = ["NetworkAcousticModel"]


@register("nnet")
@dataclass(frozen=True, eq=False)
class NetworkAcousticModel(AcousticModelBase):
    """Scores pdfs by one head of a network, less the pdfs' log-priors where there are any.

    Attributes:
      network: as trained; scoring uses a copy of it (`Network.for_inference`).
      head: `chain` (trained by LF-MMI: the scores are its outputs) or `xent` (log-posteriors; less the log-priors they
        are log-likelihoods but for a constant).
      log_prior: float32 [num_pdfs], natural logs; None: nothing is subtracted.
      acoustic_scale: what a search multiplies the scores by; 1 for LF-MMI, about 0.1 for cross-entropy.
      transition_scale, self_loop_scale: what belongs to these scores in graphs; 1 for LF-MMI.
      precision: of the computation on a CPU, a name in `quantise.PRECISIONS`.
      device: where scores are computed.
    """

    network: Network
    head: str = "chain"
    log_prior: np.ndarray | None = None
    acoustic_scale: float = 1.0
    transition_scale: float = 1.0
    self_loop_scale: float = 1.0
    precision: str = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is '{quote(self.precision)}', wanted one of {', '.join(PRECISIONS)}")
        if self.head not in ("chain", "xent") or getattr(self.network, self.head, None) is None:
            raise ValueError(f"the network has no head '{self.head}'")
        if self.log_prior is not None:
            prior = np.asarray(self.log_prior, np.float32)
            if prior.shape != (self.network.num_pdfs,) or not np.isfinite(prior).all():
                raise ValueError(f"log_prior has shape {prior.shape}, wanted [{self.network.num_pdfs}], all finite")
            object.__setattr__(self, "log_prior", prior)

    @property
    def num_pdfs(self) -> int:
        return self.network.num_pdfs

    @property
    def feature_dim(self) -> int:
        return self.network.feature_dim

    @property
    def subsampling_factor(self) -> int:  # type: ignore[override]
        return self.network.subsampling_factor

    @property
    def left_context(self) -> int:  # type: ignore[override]
        return self.network.left_context

    @property
    def right_context(self) -> int:  # type: ignore[override]
        return self.network.right_context

    def to(self, device: str) -> NetworkAcousticModel:
        """See `AcousticModel.to`."""
        return replace(self, device=str(device))

    @cached_property
    def scorer(self) -> Network:
        """The network as it scores: one head, batch norms folded, on the device, at the precision."""
        return at_precision(self.network.for_inference(self.head).to(self.device), self.precision)

    @cached_property
    def _prior(self) -> Tensor | None:
        return None if self.log_prior is None else torch.from_numpy(self.log_prior).to(self.device)

    def scores(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `AcousticModel.scores`."""
        lengths = lengths.to(torch.int64)
        if not features.shape[1]:
            return torch.zeros(len(features), 0, self.num_pdfs, device=self.device), lengths
        with torch.no_grad():
            output = self.scorer(features.to(self.device, PRECISIONS[self.precision]), lengths)
            return zeros_past_end(self._less_prior(getattr(output, self.head)), output.lengths), output.lengths

    def open(self) -> ScoreStream:
        """See `AcousticModel.open`."""
        return StageStream(self, self.scorer) if isinstance(self.scorer, StagedNetwork) else super().open()

    def advance(
        self, streams: Sequence[ScoreStream], chunks: Sequence[np.ndarray], last: Sequence[bool] | None = None
    ) -> list[Tensor]:
        """See `AcousticModel.advance`; a network of stages carries what each stage needs, others their context."""
        if not isinstance(self.scorer, StagedNetwork):
            return super().advance(streams, chunks, last)
        require_pairs(streams, chunks, last)
        if not streams:
            return []
        dtype = PRECISIONS[self.precision]
        ends = [bool(last and last[i]) for i in range(len(streams))]
        pieces = [torch.from_numpy(np.array(s.checked(c))).to(self.device, dtype) for s, c in zip(streams, chunks)]
        with torch.no_grad():
            outputs = self.scorer.advance([cast(StageStream, s).kept for s in streams], pieces, ends)
        for stream, output, end in zip(streams, outputs, ends):
            stream.frames, stream.ended = stream.frames + int(output.lengths), end
        return [self._less_prior(getattr(output, self.head)) for output in outputs]

    def _less_prior(self, scores: Tensor) -> Tensor:
        return scores.float() if self._prior is None else scores.float() - self._prior

    def arrays(self) -> dict[str, np.ndarray]:
        """See `StoredModel.arrays`."""
        state = {name: value.detach().cpu().numpy() for name, value in self.network.state_dict().items()}
        return state if self.log_prior is None else {**state, "log_prior": self.log_prior}

    def settings(self) -> dict[str, Any]:
        """See `StoredModel.settings`."""
        names = ("head", "acoustic_scale", "transition_scale", "self_loop_scale", "precision")
        return {**{name: getattr(self, name) for name in names}, **self.network.settings()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> NetworkAcousticModel:
        """See `StoredModel.from_arrays`."""
        network = load_network(settings, {name: array for name, array in arrays.items() if name != "log_prior"})
        scales = [float(settings[name]) for name in ("acoustic_scale", "transition_scale", "self_loop_scale")]
        if not np.isfinite(scales).all():
            raise ValueError(f"scales {scales}, wanted finite ones")
        acoustic, transition, self_loop = scales
        precision = str(settings.get("precision", "float32"))
        return cls(network, str(settings["head"]), arrays.get("log_prior"), acoustic, transition, self_loop, precision)


class StageStream(ScoreStream):
    """A stream of a network of stages.

    Attributes:
      kept: what each stage carries.
    """

    def __init__(self, model: NetworkAcousticModel, network: StagedNetwork) -> None:
        super().__init__(model)
        self.kept = network.open()


def load_network(settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Network:
    """Builds a network with the weights that a file holds.

    Args:
      settings: those of `Network.settings`. arrays: `state_dict` as arrays.

    Raises:
      ValueError, KeyError, TypeError, InputError: they do not fit each other, or a weight is not finite.
    """
    held = sum(array.size for array in arrays.values())
    with torch.random.fork_rng(devices=[]):  # its random weights go, and nobody else's random numbers change
        network = build_network(
            settings["architecture"], dict(settings["network"]), settings["feature_dim"], settings["num_pdfs"],
            held=held,
        )  # fmt: skip
    wanted = network.state_dict()
    for name in sorted({*wanted, *arrays}):
        if name not in arrays or name not in wanted or tuple(wanted[name].shape) != arrays[name].shape:
            shapes = [tuple(values[name].shape) if name in values else "absent" for values in (arrays, wanted)]
            raise ValueError(f"{name} is {shapes[0]}, wanted {shapes[1]}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} holds NaN or infinity")
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    return network.eval()
