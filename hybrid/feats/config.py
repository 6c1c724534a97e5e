"""What an utterance's static features are: the options of Kaldi's compute-mfcc-feats and compute-fbank-feats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from hybrid.base.errors import quote
from hybrid.base.ranges import NATURAL, SHARE, Range, check_fields

__all__ = ["FeatureConfig"]

Kind = Literal["mfcc", "fbank", "other"]
Window = Literal["povey", "hamming", "hanning", "rectangular", "blackman", "sine"]


def _help(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class FeatureConfig:
    """Settings of the static features; names and meanings are Kaldi's, frequencies in Hz, lengths in milliseconds.

    Defaults are those of `compute-mfcc-feats` but for `use_energy` (here C0, as all of Kaldi's recipes have it)
    and `dither` (here none, so that the same audio always gives the same features).
    """

    kind: Kind = _help("mfcc", "mfcc (cepstra), fbank (log mel energies) or other (from elsewhere, num_ceps values)")
    sampling_rate: int = _help(16000, "of the audio, in Hz")
    num_ceps: int = _help(13, "cepstra kept, C0 included (mfcc only)")
    num_mel_bins: int = _help(23, "triangular filters")
    low_freq: float = _help(20.0, "lower edge of the lowest filter, Hz")
    high_freq: float = _help(
        0.0, "upper edge of the highest filter, Hz; 0 or less: counted from half the sampling rate"
    )
    cepstral_lifter: float = _help(22.0, "0: no liftering (mfcc only)")
    use_energy: bool = _help(False, "log energy instead of C0 (mfcc), or as the first value (fbank)")
    raw_energy: bool = _help(True, "energy before preemphasis and windowing")
    energy_floor: float = _help(0.0, "on energy with samples as 16-bit integers, as in Kaldi")
    frame_length: float = _help(25.0, "ms")
    frame_shift: float = _help(10.0, "ms")
    preemphasis: float = _help(0.97, "coefficient; 0: none")
    remove_dc_offset: bool = _help(True, "subtract each frame's mean")
    window: Window = _help("povey", "shape of the window")
    snip_edges: bool = _help(True, "only frames that lie inside the audio; else frames at its ends see it mirrored")
    dither: float = _help(0.0, "standard deviation of noise added to samples as 16-bit integers (repeatable)")

    def __post_init__(self) -> None:
        check_fields(
            self,
            sampling_rate=Range(100, 1_000_000),
            num_mel_bins=Range(3, 4096),
            preemphasis=SHARE,
            cepstral_lifter=NATURAL,
            energy_floor=NATURAL,
            dither=NATURAL,
            frame_length=Range(0, 10_000, above=True),
        )
        if self.kind not in ("mfcc", "fbank", "other"):
            raise ValueError(f"kind is '{quote(self.kind)}', wanted mfcc, fbank or other")
        if not 100 <= self.sampling_rate <= 1_000_000:
            raise ValueError(f"sampling_rate is {self.sampling_rate} Hz, wanted 100 to 1000000 (speech: 8000 or 16000)")
        if self.window not in ("povey", "hamming", "hanning", "rectangular", "blackman", "sine"):
            raise ValueError(
                f"window is '{quote(self.window)}', wanted povey, hamming, hanning, rectangular, blackman or sine"
            )
        if self.frame_shift <= 0 or self.frame_length < self.frame_shift:
            raise ValueError(
                f"frame_length {self.frame_length} ms and frame_shift {self.frame_shift} ms: wanted 0 < shift <= length"
            )
        if self.window_shift < 1 or self.window_length < 2:
            raise ValueError(f"frame_shift {self.frame_shift} ms is less than one sample at {self.sampling_rate} Hz")
        if self.num_mel_bins < 3:
            raise ValueError(f"num_mel_bins is {self.num_mel_bins}, wanted at least 3")
        if self.kind != "fbank" and not 1 <= self.num_ceps <= self.num_mel_bins:
            raise ValueError(f"num_ceps is {self.num_ceps}, wanted 1 to num_mel_bins ({self.num_mel_bins})")
        nyquist = self.sampling_rate / 2
        if not 0 <= self.low_freq < self.top_freq <= nyquist:
            raise ValueError(
                f"mel filters from {self.low_freq:g} to {self.top_freq:g} Hz, wanted 0 <= low < high <= {nyquist:g}"
            )
        if not 0 <= self.preemphasis <= 1:
            raise ValueError(f"preemphasis is {self.preemphasis}, wanted 0 to 1")
        for name in ("cepstral_lifter", "energy_floor", "dither"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, wanted 0 or more")

    @property
    def dim(self) -> int:
        """Values per frame."""
        return self.num_ceps if self.kind != "fbank" else self.num_mel_bins + int(self.use_energy)

    @property
    def top_freq(self) -> float:
        """Upper edge of the highest filter in Hz, counted from 0."""
        return self.high_freq if self.high_freq > 0 else self.sampling_rate / 2 + self.high_freq

    @property
    def window_length(self) -> int:
        """Samples in a frame."""
        return int(self.sampling_rate * 0.001 * self.frame_length)

    @property
    def window_shift(self) -> int:
        """Samples from one frame to the next."""
        return int(self.sampling_rate * 0.001 * self.frame_shift)

    @property
    def fft_length(self) -> int:
        """The next power of two from `window_length`."""
        return 1 << (self.window_length - 1).bit_length()

    def num_frames(self, num_samples: int) -> int:
        """Frames of audio of that many samples; 0 if it is shorter than one frame (or half a shift)."""
        if self.snip_edges:
            if num_samples < self.window_length:
                return 0
            return 1 + (num_samples - self.window_length) // self.window_shift
        return (num_samples + self.window_shift // 2) // self.window_shift
