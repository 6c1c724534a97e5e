"""Whole corpora of synthetic speech: who says what, how fast, in which noise; the same on every run."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybrid.base.artifact import write_gzip
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError, quote
from hybrid.base.jobs import blocks, map_in_order
from hybrid.base.log import get_logger, progress
from hybrid.base.ranges import NATURAL, SHARE, check_fields
from hybrid.data.audio import write_audio
from hybrid.data.noise import NOISES, add_noise, change_speed
from hybrid.data.sets import write_set
from hybrid.data.utterance import Utterance
from hybrid.synth.espeak import TimedSymbol, Voice, speak, variants

__all__ = ["SynthesisConfig", "Take", "plan_take", "render", "synthesise_corpus"]

logger = get_logger(__name__)

Range = tuple[float, float]
_BLOCK = 16  # utterances a task


@dataclass(frozen=True)
class SynthesisConfig:
    """How a set is spoken. Every choice is drawn for each utterance from its own id and the seed.

    Attributes:
      bases: accents.
      variants: voice qualities; a trailing * takes all that begin so; empty takes every one.
      without: variants left out.
      rates: words a minute, from and to.
      pitches, pitch_ranges: 0 to 100, from and to.
      speeds: factors of playing speed, one of which is taken.
      noises: kinds, one of which is taken.
      clean: share of utterances without noise.
      snr_db: signal to noise ratio, from and to.
      levels_db: peak level below full scale, from and to.
      sampling_rate: Hz.
      seed: another seed makes another corpus.
    """

    bases: tuple[str, ...] = ("en-us",)
    variants: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    rates: Range = (150.0, 190.0)
    pitches: Range = (35.0, 65.0)
    pitch_ranges: Range = (30.0, 70.0)
    speeds: tuple[float, ...] = (1.0,)
    noises: tuple[str, ...] = NOISES
    clean: float = 0.25
    snr_db: Range = (15.0, 35.0)
    levels_db: Range = (-20.0, -3.0)
    sampling_rate: int = 16000
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, clean=SHARE, seed=NATURAL)
        if not self.bases or not self.speeds or not self.noises:
            raise ValueError("bases, speeds and noises need at least one entry each")
        if unknown := set(self.noises) - set(NOISES):
            raise ValueError(f"noise '{quote(min(unknown))}' is none of {', '.join(NOISES)}")
        for name in ("rates", "pitches", "pitch_ranges", "snr_db", "levels_db"):
            low_high = getattr(self, name)
            if len(low_high) != 2 or low_high[0] > low_high[1]:
                raise ValueError(f"{name} is {low_high}, wanted [from, to]")
        if not 0 <= self.clean <= 1:
            raise ValueError(f"clean is {self.clean}, wanted 0 to 1")
        if not 4000 <= self.sampling_rate <= 48000:
            raise ValueError(f"sampling_rate is {self.sampling_rate} Hz, wanted 4000 to 48000")

    def voices(self) -> list[tuple[str, str]]:
        """Returns every (base, variant) of the set.

        Raises:
          HybridError: a variant that espeak-ng does not have, or none left.
        """
        known = variants()
        chosen = [v for pattern in self.variants or ("*",) for v in _matching(pattern, known)]
        left = [v for v in dict.fromkeys(chosen) if v not in self.without]
        if not left:
            raise HybridError("no voice variant is left; take some out of `without`.")
        return [(base, variant) for base in self.bases for variant in left]


def _matching(pattern: str, known: Sequence[str]) -> list[str]:
    found = [v for v in known if v == pattern or (pattern.endswith("*") and v.startswith(pattern[:-1]))]
    if not found:
        raise HybridError(f"espeak-ng has no voice variant '{quote(pattern)}'; `hybrid synth voices` lists them.")
    return found


@dataclass(frozen=True)
class Take:
    """One utterance as it will be spoken; `noise` is empty for none."""

    id: str
    text: str
    voice: Voice
    speed: float
    noise: str
    snr_db: float
    level_db: float
    seed: int
    phones: tuple[TimedSymbol, ...] = field(default=())


def plan_take(name: str, text: str, voice: tuple[str, str], config: SynthesisConfig) -> Take:
    """Draws how an utterance is spoken; depends on its id, the voice and the config, on nothing else."""
    digest = hashlib.sha256(f"{config.seed}\0{name}".encode()).digest()
    seed = int.from_bytes(digest[:8], "little")
    generator = np.random.default_rng(seed)
    rate, pitch, spread = (
        round(float(generator.uniform(*r))) for r in (config.rates, config.pitches, config.pitch_ranges)
    )
    speed = float(generator.choice(config.speeds))
    noise = str(generator.choice(config.noises))
    noise = "" if generator.random() < config.clean else noise
    snr_db, level_db = float(generator.uniform(*config.snr_db)), float(generator.uniform(*config.levels_db))
    return Take(name, text, Voice(*voice, rate, pitch, spread), speed, noise, snr_db, level_db, seed)


def render(take: Take, rate: int, bed: np.ndarray) -> tuple[np.ndarray, list[TimedSymbol]]:
    """Speaks a take and puts it into its noise.

    Args:
      rate: samples per second of the result.
      bed: many voices at once at that rate, for babble.

    Returns:
      int16 [N], and the phonemes with their times in it.
    """
    speech = speak(take.text, take.voice, take.seed & 0x7FFFFFFF)
    samples = change_speed(speech.samples.astype(np.float32) / 32768.0, speech.rate, take.speed, rate)
    generator = np.random.default_rng([take.seed, 1])
    total = np.asarray(samples, np.float64)
    if take.noise:
        total = add_noise(total, rate, take.noise, take.snr_db, generator, bed)
    peak = max(float(np.max(np.abs(total), initial=0.0)), 1e-9)
    scaled = np.round(total / peak * 32767.0 * 10.0 ** (take.level_db / 20.0))
    phones = [TimedSymbol(p.symbol, p.start / take.speed, p.end / take.speed) for p in speech.phones]
    return scaled.astype(np.int16), phones


def _babble_bed(texts: Sequence[str], voices: Sequence[tuple[str, str]], config: SynthesisConfig) -> np.ndarray:
    """Speaks the texts as seven voices at once, ten sentences each; float32, of the set's rate."""
    if "babble" not in config.noises or config.clean >= 1:
        return np.zeros(0, np.float32)
    generator = np.random.default_rng([config.seed, 2])
    tracks = []
    for _ in range(7):
        voice = voices[int(generator.integers(len(voices)))]
        said = " ".join(texts[int(i)] for i in generator.integers(len(texts), size=10))
        speech = speak(said, Voice(*voice, 160, int(generator.integers(30, 70)), 50))
        tracks.append(change_speed(speech.samples.astype(np.float32) / 32768.0, speech.rate, 1.0, config.sampling_rate))
    size = min(map(len, tracks))
    return np.sum([track[:size] for track in tracks], axis=0).astype(np.float32)


def _write_block(
    takes: Sequence[Take], folder: str, rate: int, bed: np.ndarray
) -> list[tuple[str, list[TimedSymbol] | str]]:
    """Renders some takes into WAV files; an utterance that fails gives its reason instead of phonemes."""
    done: list[tuple[str, list[TimedSymbol] | str]] = []
    for take in takes:
        try:
            samples, phones = render(take, rate, bed)
        except HybridError as error:
            done.append((take.id, str(error)))
            continue
        write_audio(Path(folder) / f"{take.id}.wav", samples, rate)
        done.append((take.id, phones))
    return done


@writes_into("data")
def synthesise_corpus(
    texts: Mapping[str, Sequence[str]],
    out_dir: str | os.PathLike,
    config: SynthesisConfig,
    executor: Executor | None = None,
) -> int:
    """Speaks a set and writes it as a corpus: `wav/`, `cuts.jsonl.gz`, `phones.jsonl.gz`, `failed.txt`, `meta.json`.

    The n-th utterance is spoken by the n-th voice, in rounds, after the voices were shuffled by the seed. A line of
    `phones.jsonl.gz` has the id and `[symbol, start, end]` of each phoneme, in seconds.

    Args:
      texts: utterance id → words.
      executor: shares out the work; the files do not depend on it.

    Returns:
      How many utterances were made.

    Raises:
      HybridError: nothing to say, no such voice, or too many failures.
    """
    folder = Path(out_dir)
    if not texts:
        raise HybridError("there is no text to speak.")
    voices = config.voices()
    order = np.random.default_rng([config.seed, 3]).permutation(len(voices))
    takes, speakers = [], {}
    for place, (name, words) in enumerate(sorted(texts.items())):
        voice = voices[int(order[place % len(voices)])]
        takes.append(plan_take(name, " ".join(words).lower(), voice, config))
        speakers[name] = takes[-1].voice.name.replace(" ", "_")
    bed = _babble_bed([t.text for t in takes], voices, config)
    work = functools.partial(_write_block, folder=str(folder / "wav"), rate=config.sampling_rate, bed=bed)
    failures: list[tuple[str, str]] = []
    items: list[Utterance] = []
    with (
        progress(f"{folder.name}: synthesis", len(takes), logger) as bar,
        write_gzip(folder / "phones.jsonl.gz") as out,
    ):
        for result in map_in_order(work, blocks(takes, _BLOCK), executor):
            for name, phones in result:
                if isinstance(phones, str):
                    failures.append((name, phones))
                    continue
                times = [[p.symbol, round(p.start, 4), round(p.end, 4)] for p in phones]
                out.write((json.dumps({"id": name, "phones": times}, ensure_ascii=False) + "\n").encode())
                items.append(Utterance(name, folder / "wav" / f"{name}.wav", speakers[name], " ".join(texts[name])))
            bar.advance(len(result))
    settings = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(config).items()}
    return write_set(items, folder, folder.name, settings, failures)
