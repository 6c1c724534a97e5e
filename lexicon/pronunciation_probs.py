"""Probabilities of pronunciations, and of silence around them, from counts of alignments.

Chen, Xu, Wang, Povey and Khudanpur, "Pronunciation and silence probability modeling for ASR", Interspeech 2015, with
the constants and the rounding of Kaldi's dict_dir_add_pronprobs.sh, so that both write the same numbers.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from hybrid.base.errors import InputError, MismatchError, quote
from hybrid.base.ranges import POSITIVE, check_fields
from lexicon.lexicon import Lexicon, Pronunciation
from lexicon.pronunciation_counts import BEGIN, END, PAUSE, PronunciationCounts, Spoken
from lexicon.silence import SilenceProbs

__all__ = ["PronunciationConfig", "reestimate"]


@dataclass(frozen=True)
class PronunciationConfig:
    """How counts become probabilities."""

    pronunciation_smoothing: float = field(
        default=1.0, metadata={"help": "Added to the count of every pronunciation; more trusts the alignments less."}
    )
    silence_smoothing: float = field(
        default=2.0, metadata={"help": "Places with average silence added after each pronunciation (lambda 2)."}
    )
    correction_smoothing: float = field(
        default=2.0, metadata={"help": "Added to observed and expected counts before a pronunciation (lambda 3)."}
    )
    max_normalise: bool = field(
        default=True, metadata={"help": "Scale so that each word's likeliest pronunciation has probability 1."}
    )
    silence: bool = field(default=True, metadata={"help": "Word-specific silence too, not only pronunciations."})

    def __post_init__(self) -> None:
        check_fields(self, pronunciation_smoothing=POSITIVE, silence_smoothing=POSITIVE, correction_smoothing=POSITIVE)


def reestimate(lexicon: Lexicon, counts: PronunciationCounts, config: PronunciationConfig | None = None) -> Lexicon:
    """Returns the lexicon with probabilities from counts, a word's likeliest pronunciation last.

    With C the counts of a word w in pronunciation p, s silence and n none:

        P(p | w)  = (C(w, p) + λ1) / Σ_q (C(w, q) + λ1), divided by the largest of the word if asked
        P(s | wp) = (C(wp s) + λ2 P(s)) / (C(wp) + λ2)
        F(s | wp) = (C(s wp) + λ3) / (Σ_v C(v, wp) P(s | v) + λ3), F(n | wp) likewise with 1 − P(s | v)

    A correction F above 1 says that silence (or none) stands before the word more often than the words before it let
    expect. Silence probabilities and corrections have two decimals, and probabilities of pronunciations six
    digits, as in Kaldi's files; nothing is 0, and silence never certain.

    Args:
      lexicon: whose pronunciations were aligned; its own probabilities are dropped.

    Raises:
      InputError: nothing was counted.
      MismatchError: a pronunciation was counted that the lexicon lacks.
    """
    config = config or PronunciationConfig()
    known = {(e.word, *e.phones) for e in lexicon.entries}
    for item, count in counts.spoken.items():
        if item not in known and item[0] != PAUSE:
            raise MismatchError(
                f"lexicon: lacks the pronunciation '{quote(' '.join(item))}', which the alignments hold {count} times. "
                "Use the dictionary folder that the lang folder was made from."
            )
    if not any(item[0] != PAUSE for item in counts.spoken):
        raise InputError.at("alignments", "hold no word", "Align a set with transcripts first.")
    probabilities = _probabilities(lexicon, counts, config)
    order = sorted(probabilities, key=lambda item: (item[0], probabilities[item].share, " ".join(item[1:])))
    if not config.silence:
        return Lexicon(tuple(Pronunciation(i[0], i[1:], probabilities[i].probability) for i in order))
    of_item, ends = _silence(order, counts, config)
    return Lexicon(tuple(Pronunciation(i[0], i[1:], probabilities[i].probability, of_item[i]) for i in order), ends)


class _Share(NamedTuple):
    """Of a pronunciation: its share of the word, and what the lexicon shall say (the same, or scaled)."""

    share: float
    probability: float


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")


def _two_decimals(value: float, lowest: float = 0.0, highest: float = 1e9) -> float:
    return min(max(float(f"{value:.2f}"), lowest), highest)


def _probabilities(lexicon: Lexicon, counts: PronunciationCounts, config: PronunciationConfig) -> dict[Spoken, _Share]:
    smoothed = {
        (e.word, *e.phones): counts.spoken[(e.word, *e.phones)] + config.pronunciation_smoothing
        for e in lexicon.entries
    }
    totals: dict[str, float] = defaultdict(float)
    for item, count in smoothed.items():
        totals[item[0]] += count
    shares = {item: _six_digits(count / totals[item[0]]) for item, count in smoothed.items()}
    largest: dict[str, float] = defaultdict(float)
    for item, share in shares.items():
        largest[item[0]] = max(largest[item[0]], share)
    if not config.max_normalise:
        return {item: _Share(share, share) for item, share in shares.items()}
    return {item: _Share(share, _six_digits(share / largest[item[0]])) for item, share in shares.items()}


Silence = tuple[float, float, float]


def _silence(
    items: list[Spoken], counts: PronunciationCounts, config: PronunciationConfig
) -> tuple[dict[Spoken, Silence], SilenceProbs]:
    """Returns (P(silence after), corrections after silence and after none) of each, and those of the sentence ends."""
    smoothing = config.correction_smoothing
    nothing = [0, 0, 0, 0]
    places = counts.neighbours.values()
    silent, spoken = sum(c[0] for c in places), sum(c[1] for c in places)
    overall = _two_decimals(silent / (silent + spoken))

    def after(item: Spoken) -> float:
        _, _, silence, none = counts.neighbours.get(item, nothing)
        more, less = overall * config.silence_smoothing, (1 - overall) * config.silence_smoothing
        return _two_decimals((silence + more) / ((silence + more) + (none + less)), 0.01, 0.99)

    after_of = {item: after(item) for item in items}
    # In hundredths, so that sums are exact in any order. Kaldi's script expects no silence after the begin here.
    expected: dict[Spoken, list[int]] = defaultdict(lambda: [0, 0])
    for (one, other), count in counts.pairs.items():
        hundredths = round(100 * after_of.get(one, 0.0))
        expected[other][0] += count * hundredths
        expected[other][1] += count * (100 - hundredths)

    def corrections(item: Spoken) -> tuple[float, float]:
        observed, wanted = counts.neighbours.get(item, nothing), expected.get(item, [0, 0])
        silence, none = ((observed[i] + smoothing) / (wanted[i] / 100 + smoothing) for i in (0, 1))
        return silence, none

    of_item = {}
    for item in items:
        silence, none = corrections(item)
        of_item[item] = (after_of[item], _two_decimals(silence, 0.01), _two_decimals(none, 0.01))
    after_silence, after_word = (float(f"{value:.15g}") for value in corrections(END))
    return of_item, SilenceProbs(after(BEGIN), after_silence, after_word, max(overall, 0.01))
