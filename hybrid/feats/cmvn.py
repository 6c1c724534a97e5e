"""Cepstral mean and variance normalisation: statistics, their application, and what to do without them.

Per speaker (the statistics of all of a speaker's utterances), per utterance, or in a sliding window, each equal to
Kaldi's `apply-cmvn` and `apply-cmvn-sliding`. A single file of an unknown speaker has no statistics: the config's
`fallback` says what is used then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import InputError, quote
from hybrid.base.ranges import COUNT, NATURAL, check_fields

__all__ = ["CmvnConfig", "CmvnStats", "normalise", "sliding_cmvn"]

VARIANCE_FLOOR = 1e-20
SLIDING_VARIANCE_FLOOR = 1e-10


def _help(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, eq=False)
class CmvnStats(ByContent):
    """Sums over frames: how many, of values, of squares (both float64 [D])."""

    count: float
    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "CmvnStats":
        """Accumulates the statistics of one utterance, float32 [T][D]."""
        values = np.asarray(features, np.float64)
        return cls(float(len(values)), values.sum(axis=0), np.square(values).sum(axis=0))

    def __add__(self, other: "CmvnStats") -> "CmvnStats":
        return CmvnStats(self.count + other.count, self.sums + other.sums, self.squares + other.squares)

    @property
    def mean(self) -> np.ndarray:
        """float64 [D]."""
        return self.sums / max(self.count, 1.0)

    @property
    def variance(self) -> np.ndarray:
        """float64 [D], not negative."""
        return np.maximum(self.squares / max(self.count, 1.0) - np.square(self.mean), 0.0)

    def to_matrix(self) -> np.ndarray:
        """Kaldi's form, float64 [2][D + 1]: sums and the count, squares and 0."""
        return np.stack([np.append(self.sums, self.count), np.append(self.squares, 0.0)])

    @classmethod
    def from_matrix(cls, matrix: np.ndarray) -> "CmvnStats":
        """Reads Kaldi's form.

        Raises:
          InputError: the shape is not [2][D + 1], or the count is not positive.
        """
        matrix = np.asarray(matrix, np.float64)
        if matrix.ndim != 2 or matrix.shape[0] != 2 or matrix.shape[1] < 2 or not matrix[0, -1] > 0:
            raise InputError.at("CMVN statistics", f"have shape {matrix.shape}, wanted [2][dimension + 1], count > 0")
        return cls(float(matrix[0, -1]), matrix[0, :-1].copy(), matrix[1, :-1].copy())


@dataclass(frozen=True)
class CmvnConfig:
    """How features are normalised.

    Attributes:
      prior_mean, prior_var: of the training data; count as `prior_frames` frames of every unknown speaker, so that a
        very short file is not normalised to nothing. Empty: no prior.
    """

    kind: Literal["speaker", "utterance", "sliding", "none"] = _help("speaker", "whose statistics normalise")
    norm_vars: bool = _help(False, "normalise variances too")
    fallback: Literal["utterance", "sliding", "prior"] = _help(
        "utterance", "for a speaker without statistics: the utterance's own, a sliding window, or the training data's"
    )
    prior_frames: float = _help(25.0, "weight of the training data's mean against an unknown speaker's frames")
    window: int = _help(600, "frames of the sliding window")
    min_window: int = _help(100, "frames at least (sliding, not centred)")
    center: bool = _help(True, "sliding window around each frame rather than before it")
    prior_mean: tuple[float, ...] = ()
    prior_var: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, window=COUNT, min_window=COUNT, prior_frames=NATURAL)
        if self.kind not in ("speaker", "utterance", "sliding", "none"):
            raise ValueError(f"CMVN kind is '{quote(self.kind)}', wanted speaker, utterance, sliding or none")
        if self.fallback not in ("utterance", "sliding", "prior"):
            raise ValueError(f"CMVN fallback is '{quote(self.fallback)}', wanted utterance, sliding or prior")
        if self.window < 1 or not 1 <= self.min_window <= self.window:
            raise ValueError(f"CMVN window {self.window}, min_window {self.min_window}: wanted 1 <= min <= window")
        if self.prior_frames < 0 or len(self.prior_mean) != len(self.prior_var):
            raise ValueError("CMVN prior: wanted prior_frames >= 0 and as many variances as means")
        if self.fallback == "prior" and self.kind == "speaker" and self.prior_mean == () and self.prior_frames == 0:
            raise ValueError("CMVN fallback 'prior' needs prior_mean and prior_frames")

    def prior(self) -> CmvnStats | None:
        """The training data's mean and variance as `prior_frames` frames, or None."""
        if not self.prior_mean or self.prior_frames == 0:
            return None
        mean, variance = np.array(self.prior_mean), np.array(self.prior_var)
        return CmvnStats(self.prior_frames, mean * self.prior_frames, (variance + mean**2) * self.prior_frames)


def normalise(features: np.ndarray, config: CmvnConfig, stats: CmvnStats | None) -> np.ndarray:
    """Applies the policy of `config` to one utterance.

    Args:
      features: float32 [T][D].
      stats: the speaker's, or None where the speaker is unknown.

    Returns:
      float32 [T][D].

    Raises:
      InputError: the statistics are of another dimension.
    """
    kind: str = config.kind
    if kind == "none" or not len(features):
        return np.asarray(features, np.float32)
    if kind == "speaker" and stats is None:
        kind = config.fallback
        prior = config.prior()
        if kind == "prior":
            if prior is None:
                raise InputError.at("CMVN", "fallback 'prior' has no prior_mean", "Use fallback: utterance.")
            stats = prior
        elif kind == "utterance":
            own = CmvnStats.of(features)
            stats = own if prior is None else own + prior
    elif kind == "utterance":
        stats = CmvnStats.of(features)
    if kind == "sliding":
        return sliding_cmvn(features, config.window, config.min_window, config.center, config.norm_vars)
    assert stats is not None
    if stats.sums.shape != (features.shape[1],):
        raise InputError.at(
            "CMVN statistics", f"are of dimension {len(stats.sums)}, the features of {features.shape[1]}",
            "Compute them from the same features.",
        )  # fmt: skip
    out = np.asarray(features, np.float32)
    if not config.norm_vars:
        return out + (-stats.mean).astype(np.float32)
    scale = 1.0 / np.sqrt(np.maximum(stats.variance, VARIANCE_FLOOR))
    return out * scale.astype(np.float32) + (-stats.mean * scale).astype(np.float32)


def sliding_cmvn(
    features: np.ndarray, window: int = 600, min_window: int = 100, center: bool = True, norm_vars: bool = False
) -> np.ndarray:
    """Normalises each frame by the frames around it (`center`) or before it, as `apply-cmvn-sliding` does.

    Windows keep their width at the ends of the utterance by leaning inwards; one that ends at its frame
    has `window + 1` frames, and at the start sees up to `min_window` frames, future ones too.

    Args:
      features: float32 [T][D].

    Returns:
      float32 [T][D].
    """
    total = len(features)
    t = np.arange(total)
    start = t - (window // 2 if center else window)
    end = start + window if center else t + 1
    end = np.where(start < 0, end - start, end)
    start = np.maximum(start, 0)
    if not center:
        end = np.where(end > t, np.maximum(t + 1, min_window), end)
    over = np.maximum(end - total, 0)
    end, start = end - over, np.maximum(start - over, 0)
    values = np.asarray(features, np.float64)
    zero = np.zeros((1, values.shape[1]))
    sums = np.concatenate([zero, np.cumsum(values, axis=0)])
    width = (end - start)[:, None]
    mean = (sums[end] - sums[start]) / width
    out = values - mean
    if norm_vars:
        offset = values.mean(axis=0) if total else 0.0  # keeps the running sums of squares small
        squares = np.concatenate([zero, np.cumsum(np.square(values - offset), axis=0)])
        variance = (squares[end] - squares[start]) / width - np.square(mean - offset)
        out = np.where(width == 1, 0.0, out / np.sqrt(np.maximum(variance, SLIDING_VARIANCE_FLOOR)))
    return out.astype(np.float32)
