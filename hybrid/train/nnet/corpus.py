"""What is trained on and what is held out, and the batches that are measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import HybridError, InputError
from hybrid.base.log import get_logger
from hybrid.train.nnet.batches import plan_epoch
from hybrid.train.nnet.config import BatchConfig, TrainingConfig
from hybrid.train.nnet.data import Example, Maker, Targets
from hybrid.train.nnet.sources import FeatureSource, Item

__all__ = ["Corpus", "fixed_examples", "hold_out", "usable_items"]

logger = get_logger(__name__)
MOST = 0.1  # of the utterances that are held out


@dataclass(frozen=True, eq=False)
class Corpus(ByContent):
    """The items of a training.

    Attributes:
      heldout: at speed 1, of utterances of which nothing is trained on.
      failed: name → why it is not used.
    """

    training: tuple[Item, ...]
    heldout: tuple[Item, ...]
    failed: dict[str, str]

    @property
    def frames(self) -> int:
        """Frames of features in an epoch."""
        return sum(item.frames for item in self.training)

    @property
    def hours(self) -> float:
        """Hours of audio in an epoch, at all speeds."""
        return sum(item.seconds for item in self.training) / 3600.0


def usable_items(source: FeatureSource, targets: Targets, max_failed: float) -> tuple[list[Item], dict[str, str]]:
    """Lists the items that can be trained on, and why others cannot.

    Raises:
      HybridError: none is usable, or too few are.
    """
    items, failed = source.items()
    kept = []
    for item in items:
        fault = targets.fault(item)
        if fault:
            failed[item.name] = fault
        else:
            kept.append(item)
    total = len(kept) + len(failed)
    if not kept or len(failed) > max_failed * total:
        name, reason = next(iter(sorted(failed.items())), ("", "there is no utterance"))
        raise HybridError(
            f"{len(failed)} of {total} utterances cannot be trained on (allowed: {max_failed:.0%}, max_failed); "
            f"the first, {name}: {reason}"
        )
    if failed:
        logger.warning("%d of %d utterances are left out; failed.txt says why", len(failed), total)
    return kept, failed


def hold_out(items: Sequence[Item], failed: dict[str, str], config: TrainingConfig) -> Corpus:
    """Chooses what is held out, by chance: some utterances, or all of some speakers.

    An utterance is held out at all its speeds, and measured on at speed 1.

    Raises:
      InputError: nothing would be left to train on, or no utterance of the held-out ones is at speed 1.
    """
    generator = np.random.default_rng([config.seed, 11])
    names = sorted({item.utterance for item in items})
    count = min(config.heldout, int(MOST * len(names)))
    if config.heldout_speakers:
        base = {item.utterance: item.speaker for item in items if item.speed == 1.0}
        speakers = sorted(set(base.values()))
        if config.heldout_speakers >= len(speakers):
            raise InputError.at(
                "heldout_speakers", f"is {config.heldout_speakers}, but there are {len(speakers)} speakers",
                "Hold out fewer, or utterances (heldout).",
            )  # fmt: skip
        chosen_speakers = set(generator.permutation(speakers)[: config.heldout_speakers].tolist())
        chosen = {name for name, speaker in base.items() if speaker in chosen_speakers}
    else:
        chosen = set(generator.permutation(names)[:count].tolist()) if count else set()
    heldout = tuple(item for item in items if item.utterance in chosen and item.speed == 1.0)
    training = tuple(item for item in items if item.utterance not in chosen)
    if config.heldout and not heldout:
        if config.patience:
            raise InputError.at(
                "heldout", f"a tenth of {len(names)} utterances at speed 1 is none, and patience needs some",
                "Train on more speech, or set patience to 0.",
            )  # fmt: skip
        logger.warning("nothing is held out: a tenth of %d utterances is none. Only the training data is measured",
                       len(names))  # fmt: skip
    return Corpus(training, heldout, failed)


def fixed_examples(maker: Maker, config: BatchConfig, parts: int = 1, most_frames: int = 0) -> Iterator[Example]:
    """Yields examples of a maker's items, unvaried and always the same, until enough frames have come.

    Args:
      parts: into how many a batch is cut because memory does not suffice.
    """
    config = replace(config, batch_frames=max(1, config.batch_frames // parts))
    lengths = [item.frames for item in maker.items]
    frames = 0
    for batch in plan_epoch(lengths, config, 1, 0, 0, shuffle=bool(most_frames)):
        yield maker.make(0, batch, vary=False)
        frames += int(batch.frames.sum())
        if most_frames and frames >= most_frames:
            return
