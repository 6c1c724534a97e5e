"""Settings of a network's training, one dataclass per part; `conf/*.yaml` has a section for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, SHARE, Range, check_fields

__all__ = ["AugmentConfig", "BatchConfig", "FullSumConfig", "OptimiserConfig", "TrainingConfig"]


def _help(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class AugmentConfig:
    """How training speech is varied; each epoch and utterance draws anew from the seed, whoever computes it."""

    speeds: tuple[float, ...] = _help((1.0,), "Each utterance at each of these speeds, once an epoch (0.9 1.0 1.1).")
    volume_low: float = _help(1.0, "Samples are multiplied by a factor from here …")
    volume_high: float = _help(1.0, "… to here, drawn per utterance (Kaldi: 0.125 to 2).")
    warp_low: float = _help(1.0, "Frequencies of the voice are multiplied by a factor from here (0.9) …")
    warp_high: float = _help(1.0, "… to here (1.1), drawn per utterance: vocal tract length perturbation.")
    noise_share: float = _help(0.0, "Share of utterances that get noise.")
    snr_low: float = _help(5.0, "dB of speech over noise, from …")
    snr_high: float = _help(20.0, "… to.")
    noise_dir: str = _help("", "Folder of noise recordings; without it noise is generated (white, pink, brown, hum).")
    reverb_share: float = _help(0.0, "Share of utterances that are played in a room.")
    reverb_low: float = _help(0.1, "Seconds in which a generated room's echoes fall by 60 dB, from …")
    reverb_high: float = _help(0.6, "… to.")
    rir_dir: str = _help("", "Folder of impulse responses of rooms; without it they are generated.")
    freq_masks: int = _help(0, "SpecAugment: masks over mel bins per chunk, where cepstra are features too.")
    freq_width: int = _help(10, "Widest of them, in bins.")
    time_masks: int = _help(0, "SpecAugment: masks over time per chunk.")
    time_width: int = _help(20, "Widest of them, in frames; never more than a fifth of the chunk.")

    def __post_init__(self) -> None:
        check_fields(
            self,
            speeds=Range(0.5, 2.0),
            volume_low=POSITIVE,
            volume_high=POSITIVE,
            warp_low=Range(0.5, 2.0),
            warp_high=Range(0.5, 2.0),
            noise_share=SHARE,
            snr_low=Range(-30, 100),
            snr_high=Range(-30, 100),
            reverb_share=SHARE,
            reverb_low=Range(0.01, 10),
            reverb_high=Range(0.01, 10),
            freq_masks=Range(0, 100),
            time_masks=Range(0, 100),
            freq_width=COUNT,
            time_width=COUNT,
        )
        if not self.speeds or len(set(self.speeds)) != len(self.speeds):
            raise ValueError("speeds: wanted at least one, and none twice")
        for name in ("volume", "warp", "snr", "reverb"):
            low, high = getattr(self, f"{name}_low"), getattr(self, f"{name}_high")
            if low > high:
                raise ValueError(f"{name}_low is {low:g}, more than {name}_high ({high:g})")

    @property
    def changes_bins(self) -> bool:
        """Whether features are changed as mel bins."""
        return self.warp_low != 1.0 or self.warp_high != 1.0 or self.freq_masks > 0

    @property
    def changes_samples(self) -> bool:
        """Whether features must be computed anew each time they are wanted."""
        return self.noise_share > 0 or self.reverb_share > 0


@dataclass(frozen=True)
class BatchConfig:
    """How utterances become batches."""

    chunk_frames: tuple[int, ...] = _help(
        (140,), "Frames of a training chunk, multiples of the subsampling factor; one is drawn per utterance. "
        "0: whole utterances."
    )  # fmt: skip
    batch_frames: int = _help(8960, "Frames of features in a batch, context aside (64 chunks of 140).")
    buckets: int = _help(10, "Groups of similar length that whole utterances are batched in.")
    cache_gb: float = _help(2.0, "Memory for features that need not be computed again, in 1e9 bytes.")
    cache_type: Literal["float16", "uint8", "float32"] = _help("float16", "How they are kept there.")
    workers: int = _help(0, "Processes that compute batches ahead; 0: none.")

    def __post_init__(self) -> None:
        check_fields(
            self,
            chunk_frames=Range(0, 100_000),
            batch_frames=COUNT,
            buckets=Range(1, 1000),
            cache_gb=NATURAL,
            workers=Range(0, 1024),
        )
        if self.cache_type not in ("float16", "uint8", "float32"):
            raise ValueError(f"cache_type is '{self.cache_type}', wanted float16, uint8 or float32")
        if not self.chunk_frames or (0 in self.chunk_frames and len(self.chunk_frames) > 1):
            raise ValueError("chunk_frames: wanted one or more lengths, or 0 alone for whole utterances")

    @property
    def whole(self) -> bool:
        """Whether utterances are not cut."""
        return self.chunk_frames == (0,)


@dataclass(frozen=True)
class FullSumConfig:
    """The HMM around the posteriors of a full-sum training."""

    prior_scale: float = _help(
        1.0, "full-sum: of the logarithm of the prior. Well below 1 the most frequent phones take all frames."
    )
    transition_scale: float = _help(0.3, "full-sum: of transitions; 0: none.")
    loop_probability: float = _help(0.5, "full-sum: that a phone lasts a frame of scores more.")

    def __post_init__(self) -> None:
        check_fields(self, prior_scale=NATURAL, transition_scale=NATURAL, loop_probability=Range(0.001, 0.999))


@dataclass(frozen=True)
class OptimiserConfig:
    """Steps of the optimiser."""

    optimiser: Literal["adam", "sgd", "natural"] = _help(
        "adam", "adam (decoupled weight decay), sgd, or natural (sgd along the natural gradient, as Kaldi)."
    )
    learning_rate: float = _help(1e-3, "At the start, or at its highest after the warm-up.")
    final_learning_rate: float = _help(1e-4, "At the end.")
    schedule: Literal["exponential", "cosine", "constant"] = _help("exponential", "How it falls with the audio seen.")
    warmup: float = _help(0.0, "Share of the training in which it rises from nothing.")
    momentum: float = _help(0.9, "Of sgd and natural.")
    weight_decay: float = _help(0.0, "Of weights of hidden layers; biases and normalisation have none.")
    output_weight_decay: float = _help(0.0, "Of output layers.")
    xent_factor: float = _help(1.0, "Factor on the learning rate of the cross-entropy head's output layer (Kaldi: 5).")
    clip: float = _help(5.0, "Largest norm of a step's gradient; 0: no limit.")
    max_change: float = _help(0.0, "Largest change of all parameters in a step (Kaldi: 2); 0: no limit.")
    layer_max_change: float = _help(0.0, "Largest change of one tensor in a step (Kaldi: 0.75); 0: no limit.")
    accumulate: int = _help(1, "Batches per step; processes of torchrun share them.")
    constrain_every: int = _help(4, "Steps between those that pull factored layers towards orthogonality.")

    def __post_init__(self) -> None:
        check_fields(
            self,
            learning_rate=POSITIVE,
            final_learning_rate=POSITIVE,
            warmup=SHARE,
            momentum=Range(0, 0.9999),
            weight_decay=NATURAL,
            output_weight_decay=NATURAL,
            xent_factor=POSITIVE,
            clip=NATURAL,
            max_change=NATURAL,
            layer_max_change=NATURAL,
            accumulate=COUNT,
            constrain_every=COUNT,
        )
        if self.optimiser not in ("adam", "sgd", "natural"):
            raise ValueError(f"optimiser is '{self.optimiser}', wanted adam, sgd or natural")
        if self.schedule not in ("exponential", "cosine", "constant"):
            raise ValueError(f"schedule is '{self.schedule}', wanted exponential, cosine or constant")


@dataclass(frozen=True)
class TrainingConfig:
    """How long, on what, and what is kept."""

    epochs: float = _help(5.0, "Passes over the training data, at all speeds each.")
    hours: float = _help(0.0, "Hours of audio to train on instead of epochs; 0: as epochs say.")
    heldout: int = _help(40, "Utterances held out to measure the objective on; at most a tenth of the data.")
    heldout_speakers: int = _help(0, "Speakers held out instead, with all that they say.")
    evaluations: int = _help(2, "Measurements on the held-out data per epoch.")
    patience: int = _help(0, "Stop after so many measurements without a better one; 0: never.")
    average: int = _help(1, "The final model averages so many of the kept ones.")
    average_of: Literal["last", "best"] = _help("last", "Which ones: the last, or the best on the held-out data.")
    keep: int = _help(10, "Models of earlier measurements kept for `hybrid nnet average`.")
    checkpoint_minutes: float = _help(5.0, "Between saved states; a killed training goes on from the last.")
    amp: Literal["none", "float16", "bfloat16"] = _help("none", "Arithmetic of the network, on a GPU.")
    device: str = _help("cpu", "cpu, cuda, cuda:1.")
    threads: int = _help(0, "Threads of the arithmetic; 0: as the environment says.")
    seed: int = _help(0, "Of all that is drawn.")
    max_failed: float = _help(0.5, "Stop where more than this share of the utterances cannot be used.")
    tensorboard: bool = _help(False, "Write curves for TensorBoard too (extra `tensorboard`).")

    def __post_init__(self) -> None:
        check_fields(
            self,
            epochs=POSITIVE,
            hours=NATURAL,
            heldout=NATURAL,
            heldout_speakers=NATURAL,
            evaluations=Range(1, 10_000),
            patience=NATURAL,
            average=Range(1, 1000),
            keep=Range(1, 1000),
            checkpoint_minutes=NATURAL,
            threads=Range(0, 1024),
            seed=NATURAL,
            max_failed=SHARE,
        )
        if self.average_of not in ("last", "best"):
            raise ValueError(f"average_of is '{self.average_of}', wanted last or best")
        if self.amp not in ("none", "float16", "bfloat16"):
            raise ValueError(f"amp is '{self.amp}', wanted none, float16 or bfloat16")
        if self.average > self.keep:
            raise ValueError(f"average is {self.average}, but only {self.keep} models are kept (keep)")
        if self.patience and not (self.heldout or self.heldout_speakers):
            raise ValueError("patience needs held-out data to measure on; set heldout or heldout_speakers")
