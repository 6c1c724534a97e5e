"""A GMM behind the AcousticModel door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hybrid.base.errors import quote
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.model.kinds import register
from hybrid.model.protocol import AcousticModelBase, BandScorer

if TYPE_CHECKING:
    import torch

__all__ = ["GmmAcousticModel"]


@register("gmm")
@dataclass(frozen=True, eq=False)
class GmmAcousticModel(AcousticModelBase):
    """Scores pdfs by log-likelihoods of diagonal Gaussian mixtures, every frame by itself.

    Attributes:
      gmm: the mixtures.
      acoustic_scale: what a search multiplies the log-likelihoods by; frames are not independent, so less than 1.
      self_loop_scale: Kaldi's for GMMs.
      device: where `scores` computes.
    """

    gmm: AmDiagGmm
    acoustic_scale: float = 1 / 12
    self_loop_scale: float = 0.1
    device: str = "cpu"

    @property
    def num_pdfs(self) -> int:
        return self.gmm.num_pdfs

    @property
    def feature_dim(self) -> int:
        return self.gmm.dim

    def to(self, device: str) -> GmmAcousticModel:
        """See `AcousticModel.to`."""
        return replace(self, device=str(device))

    def arrays(self) -> dict[str, np.ndarray]:
        """See `StoredModel.arrays`."""
        return self.gmm.arrays()

    def settings(self) -> dict[str, Any]:
        """See `StoredModel.settings`."""
        return {"acoustic_scale": self.acoustic_scale, "self_loop_scale": self.self_loop_scale}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> GmmAcousticModel:
        """See `StoredModel.from_arrays`."""
        if settings.get("subsampling_factor", 1) != 1:
            raise ValueError(f"subsampling_factor {quote(settings['subsampling_factor'])}; a GMM scores every frame")
        scales = float(settings["acoustic_scale"]), float(settings.get("self_loop_scale", cls.self_loop_scale))
        return cls(AmDiagGmm.from_arrays(arrays), *scales)

    def band(self, features: np.ndarray, pdf_ids: np.ndarray) -> BandScorer:
        """See `AcousticModel.band`; only what is asked for is computed."""

        def score(begin: int, end: int, columns: np.ndarray) -> np.ndarray:
            return self.gmm.log_likelihoods(features[begin:end], pdf_ids[columns])

        return score

    def scores(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores a batch: on the CPU utterance by utterance, on a GPU all at once (see AcousticModel.scores)."""
        import torch

        lengths, features = lengths.to(torch.int64), features.to(self.device)
        if features.device.type != "cpu":
            return self._scores_gpu(features, lengths), lengths
        out = torch.zeros(features.shape[0], features.shape[1], self.num_pdfs)
        for n, length in enumerate(lengths.tolist()):
            rows = features[n, :length].detach().numpy()
            out[n, :length] = torch.from_numpy(self.gmm.log_likelihoods(rows))
        return out, lengths

    def _scores_gpu(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The same by padding every pdf to the widest one."""
        import torch

        matrix, constants, index = (t.to(features.device) for t in self._padded)
        frames = features.reshape(-1, features.shape[2]).to(torch.float32)
        out = torch.empty(len(frames), self.num_pdfs, device=features.device)
        for begin in range(0, len(frames), 2048):
            x = frames[begin : begin + 2048]
            components = torch.addmm(constants, torch.cat([x, x * x], dim=1), matrix)
            out[begin : begin + 2048] = torch.logsumexp(components[:, index], dim=2)
        out = out.reshape(features.shape[0], features.shape[1], -1)
        inside = torch.arange(features.shape[1], device=features.device)[None] < lengths.to(features.device)[:, None]
        return torch.where(inside[:, :, None], out, torch.zeros((), device=features.device))

    @cached_property
    def _padded(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[2D][G + 1] parameters, [G + 1] constants (the last -inf), and [P][M] columns of each pdf."""
        import torch

        gmm, sizes = self.gmm, np.diff(self.gmm.row_splits)
        index = gmm.row_splits[:-1, None] + np.arange(sizes.max())
        index = np.where(np.arange(sizes.max()) < sizes[:, None], index, gmm.num_gaussians)
        matrix = np.concatenate([gmm.matrix, np.zeros((1, 2 * gmm.dim), np.float32)]).T
        constants = np.append(gmm.gconsts, np.float32(-np.inf))
        return torch.from_numpy(matrix.copy()), torch.from_numpy(constants), torch.from_numpy(index)
