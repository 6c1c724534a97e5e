"""From static features to what a model scores: CMVN, deltas or splicing, linear transforms.

The pipeline belongs to the model and is saved in its folder, so that training, alignment and decoding of any audio
do the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hybrid.base.config import config_from_dict
from hybrid.base.errors import InputError, quote
from hybrid.base.ranges import Range, check_fields
from hybrid.feats.cmvn import CmvnConfig, CmvnStats, normalise
from hybrid.feats.config import FeatureConfig
from hybrid.feats.context import add_deltas, splice
from hybrid.feats.extract import FeatureExtractor
from hybrid.feats.transform import LinearTransform

if TYPE_CHECKING:
    from hybrid.feats.store import FeatureStore

__all__ = ["FeaturePipeline"]


@dataclass(frozen=True)
class FeaturePipeline:
    """static → CMVN → deltas → splice → transforms (→ a speaker's own transform).

    Attributes:
      delta_order: 0 none, 2 for deltas and delta-deltas.
      delta_window: frames on each side that a slope sees.
      splice_left, splice_right: frames put in before and after.
      transforms: applied in turn; each checks that it fits what comes before.
      speaker_dim: columns put after them, 0 for an unknown speaker; a speaker's transform, whose offset they take, puts
        his vector there.
    """

    static: FeatureConfig = field(default_factory=FeatureConfig)
    cmvn: CmvnConfig = field(default_factory=CmvnConfig)
    delta_order: int = 0
    delta_window: int = 2
    splice_left: int = 0
    splice_right: int = 0
    transforms: tuple[LinearTransform, ...] = ()
    speaker_dim: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.static, FeatureConfig) or not isinstance(self.cmvn, CmvnConfig):
            raise ValueError("static and cmvn: wanted the settings of features and of CMVN")
        frames = Range(0, 1000)
        check_fields(
            self, delta_order=Range(0, 4), delta_window=Range(1, 1000), splice_left=frames, splice_right=frames
        )
        if (
            isinstance(self.speaker_dim, bool)
            or not isinstance(self.speaker_dim, int)
            or not 0 <= self.speaker_dim <= 4096
        ):
            raise ValueError(f"speaker_dim is '{quote(self.speaker_dim)}', wanted 0 to 4096")
        prior = self.cmvn.prior_mean
        if prior and len(prior) != self.static.dim:
            raise ValueError(f"CMVN prior of dimension {len(prior)}, features of {self.static.dim}")
        dim = self.context_dim
        for transform in self.transforms:
            if transform.input_dim != dim:
                raise ValueError(
                    f"transform '{quote(transform.name)}' takes dimension {transform.input_dim}, found {dim}"
                )
            dim = transform.dim

    @classmethod
    def for_store(cls, store: "FeatureStore", cmvn: CmvnConfig | None = None, **settings: Any) -> "FeaturePipeline":
        """Builds the pipeline of a model trained on `store`: its static settings, its mean as CMVN prior."""
        cmvn = cmvn or CmvnConfig()
        total = store.global_stats()
        cmvn = dataclasses.replace(
            cmvn, prior_mean=tuple(total.mean.tolist()), prior_var=tuple(total.variance.tolist())
        )
        return cls(static=store.config, cmvn=cmvn, **settings)

    @property
    def context_dim(self) -> int:
        """Values per frame after deltas and splicing, before transforms."""
        return self.static.dim * (self.delta_order + 1) * (self.splice_left + 1 + self.splice_right)

    @property
    def dim(self) -> int:
        """Values per frame that come out."""
        return (self.transforms[-1].dim if self.transforms else self.context_dim) + self.speaker_dim

    @property
    def frame_shift(self) -> float:
        """Seconds from one frame to the next."""
        return self.static.window_shift / self.static.sampling_rate

    def apply(
        self, static: np.ndarray, stats: CmvnStats | None = None, speaker_transform: np.ndarray | None = None
    ) -> np.ndarray:
        """Turns the static features of one utterance into the model's.

        Args:
          static: float32 [T][static.dim].
          stats: the speaker's CMVN statistics; None for an unknown speaker.
          speaker_transform: float32 [dim][dim + 1] (or [dim][dim]), the speaker's fMLLR transform, applied last.

        Returns:
          float32 [T][dim].

        Raises:
          InputError: wrong dimension, or NaN or infinity in the features.
        """
        static = np.asarray(static, np.float32)
        if static.ndim != 2 or static.shape[1] != self.static.dim:
            raise InputError.at(
                "features", f"have shape {static.shape}, wanted [frames][{self.static.dim}]",
                "Extract them with the settings of this model.",
            )  # fmt: skip
        require_finite(static)
        return self.in_context(normalise(static, self.cmvn, stats), speaker_transform)

    def in_context(self, features: np.ndarray, speaker_transform: np.ndarray | None = None) -> np.ndarray:
        """Puts deltas and neighbours to normalised frames float32 [T][static.dim], and transforms; see `apply`."""
        if self.delta_order:
            features = add_deltas(features, self.delta_order, self.delta_window)
        if self.splice_left or self.splice_right:
            features = splice(features, self.splice_left, self.splice_right)
        for transform in self.transforms:
            features = transform(features)
        if self.speaker_dim:
            features = np.pad(features, ((0, 0), (0, self.speaker_dim)))
        if speaker_transform is not None:
            features = LinearTransform("speaker", speaker_transform, self.dim)(features)
        return features

    def features(
        self, store: "FeatureStore", utterance: str, speaker_transform: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns the model's features of one utterance of a store, float32 [T][dim].

        Raises:
          InputError: the store was made with other settings, or see `apply`.
        """
        self.require_match(store)
        stats = store.stats(store.speaker(utterance)) if self.cmvn.kind == "speaker" else None
        return self.apply(store.load(utterance), stats, speaker_transform)

    def require_match(self, store: "FeatureStore") -> None:
        """Raises InputError if the store's static features are not this model's."""
        if store.config != self.static:
            ours, theirs = dataclasses.asdict(self.static), dataclasses.asdict(store.config)
            name = next(key for key in ours if ours[key] != theirs[key])
            raise InputError.at(
                store.path,
                f"features have {name} {quote(theirs[name])}, the model wants {quote(ours[name])}",
                "Extract them with the settings of this model.",
            )

    def from_samples(
        self, samples: np.ndarray, rate: int, stats: CmvnStats | None = None,
        speaker_transform: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Returns the model's features of samples (float32 [N] in [-1, 1]), resampled where their rate is another.

        Raises:
          InputError: audio shorter than one frame, not one channel, or not finite.
        """
        if rate != self.static.sampling_rate and np.ndim(samples) == 1 and rate > 0:
            from hybrid.data.audio import resample

            samples, rate = resample(samples, rate, self.static.sampling_rate), self.static.sampling_rate
        static = FeatureExtractor(self.static)(samples, rate)
        if not len(static):
            raise InputError.at(
                "samples", f"{len(samples)} of them are shorter than one frame of {self.static.frame_length:g} ms",
                "Leave this audio out.",
            )  # fmt: skip
        return self.apply(static, stats, speaker_transform)

    def with_transforms(self, *transforms: LinearTransform) -> "FeaturePipeline":
        """Returns the pipeline with these transforms instead of its own."""
        return dataclasses.replace(self, transforms=tuple(transforms))

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as plain values; the transforms' matrices are apart, see `arrays`."""
        values: dict[str, Any] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name == "speaker_dim" and not value:
                continue  # models without one keep their files
            if item.name == "transforms":
                value = [{"name": t.name, "input_dim": t.input_dim} for t in value]
            elif dataclasses.is_dataclass(value) and not isinstance(value, type):
                value = {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(value).items()}
            values[item.name] = value
        return values

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the transforms' matrices as `transform.0`, `transform.1`, …: float32 [out][in or in + 1].

        Where a transform knows what it leaves out, that is `transform.0.rejected`.
        """
        arrays = {f"transform.{i}": transform.matrix for i, transform in enumerate(self.transforms)}
        known = {f"transform.{i}.rejected": transform.rejected for i, transform in enumerate(self.transforms)}
        return arrays | {name: rows for name, rows in known.items() if rows is not None}

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None, place: object = "features"
    ) -> "FeaturePipeline":
        """Builds a pipeline from what `to_dict` and `arrays` gave.

        Raises:
          InputError: an unknown or wrong setting, or a matrix that is missing.
        """
        if not isinstance(values, Mapping):
            raise InputError.at(place, f"pipeline is '{quote(values)}', wanted its settings", "Train the model again.")
        values = dict(values)
        transforms = []
        listed = values.pop("transforms", None) or ()
        if not isinstance(listed, (list, tuple)) or not all(
            isinstance(one, Mapping) and isinstance(one.get("name"), str) and type(one.get("input_dim")) is int
            for one in listed
        ):
            raise InputError.at(
                place,
                f"transforms are '{quote(listed)}', wanted a list of names and dimensions",
                "Train the model again.",
            )
        for i, entry in enumerate(listed):
            if arrays is None or f"transform.{i}" not in arrays:
                raise InputError.at(place, f"the matrix of transform {i} is missing", "Train the model again.")
            matrix, rejected = arrays[f"transform.{i}"], arrays.get(f"transform.{i}.rejected")
            transforms.append(LinearTransform(entry["name"], matrix, entry["input_dim"], rejected))
        pipeline = config_from_dict(cls, values, place)
        try:
            return dataclasses.replace(pipeline, transforms=tuple(transforms))
        except ValueError as error:
            raise InputError.at(place, str(error), "Train the model again.") from error


def require_finite(features: np.ndarray) -> None:
    """Checks that features, float [T][D], are numbers.

    Raises:
      InputError: names the first frame and value with NaN or infinity.
    """
    if features.size and not np.isfinite(features.sum(dtype=np.float64)):
        bad = np.argwhere(~np.isfinite(features))
        if len(bad):
            frame, value = bad[0]
            raise InputError.at(
                "features", f"value {value} of frame {frame} is {features[frame, value]} ({len(bad)} such values)",
                "Extract them again, or leave the utterance out.",
            )  # fmt: skip
