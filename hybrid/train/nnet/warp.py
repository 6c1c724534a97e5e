"""Static features seen as log mel energies: vocal tracts made longer or shorter, bands masked.

Log mel energies are the features themselves (fbank), or a linear function of them (MFCC); so whatever is linear in them
is one small matrix on the features, and commutes with the subtraction of a speaker's mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.feats.config import FeatureConfig
from hybrid.feats.filters import cosine_matrix, mel, mel_centres

__all__ = ["MelView"]

KNEE = 0.85  # share of the band below which frequencies are multiplied by the factor itself


@dataclass(frozen=True, eq=False)
class MelView:
    """The way from static features to log mel energies and back.

    Attributes:
      to_mel: float64 [dim][bins]; of fewer cepstra than bins it gives the smoothed spectrum that they describe.
      from_mel: float64 [bins][dim].
      centres: float64 [bins], Hz.
      top: upper end of the band, Hz.
    """

    to_mel: np.ndarray
    from_mel: np.ndarray
    centres: np.ndarray
    top: float

    @classmethod
    def of(cls, config: FeatureConfig) -> MelView:
        """Builds the view.

        Raises:
          ValueError: the first value of a frame is its energy, not of its mel bins.
        """
        if config.use_energy:
            raise ValueError("the first value is the frame's energy (use_energy), no function of mel bins")
        bins = config.num_mel_bins
        from_mel = cosine_matrix(config).astype(np.float64) if config.kind == "mfcc" else np.eye(bins)
        return cls(np.linalg.pinv(from_mel), from_mel, mel_centres(config), float(config.top_freq))

    def warp(self, factor: float) -> np.ndarray:
        """Returns the matrix for a voice whose frequencies are `factor` times as high, float32 [dim][dim].

        The energy at f becomes that at f / factor; above the knee the map is the straight line to the top of the band
        (vocal tract length perturbation, Jaitly and Hinton 2013). Between bins energies are interpolated in mel.
        """
        knee = KNEE * self.top * min(1.0, factor)
        beyond = self.top - (self.top - knee / factor) * (self.top - self.centres) / (self.top - knee)
        wanted = np.where(self.centres <= knee, self.centres / factor, beyond)
        place = np.interp(mel(wanted), mel(self.centres), np.arange(len(self.centres)))
        below = np.minimum(place.astype(np.int64), len(place) - 2)
        weight = place - below
        mixed = np.zeros((len(place), len(place)))
        columns = np.arange(len(place))
        mixed[below, columns] = 1.0 - weight
        mixed[below + 1, columns] += weight
        return np.asarray(self.to_mel @ mixed @ self.from_mel, np.float32)

    def without(self, begin: int, end: int) -> np.ndarray:
        """Returns the matrix that takes bins [begin, end) out of features less their mean, float32 [dim][dim]."""
        kept = np.eye(self.to_mel.shape[0])
        kept -= self.to_mel[:, begin:end] @ self.from_mel[begin:end]
        return np.asarray(kept, np.float32)
