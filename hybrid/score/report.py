"""What a scoring writes: a summary for people, the same as JSON, and every utterance aligned (Kaldi's per_utt)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybrid.base.content import ByContent
from hybrid.score.edits import (
    Confusions,
    ErrorCounts,
    Pairs,
    UtteranceErrors,
    align,
    confusions,
    score_utterances,
)
from hybrid.score.significance import BootstrapConfig, Interval, confidence_interval
from hybrid.score.sweep import Sweep

__all__ = ["Score", "format_report", "format_sweep", "per_utterance", "score", "score_to_dict"]


@dataclass(frozen=True, eq=False)
class Score(ByContent):
    """Everything that is known of one system on one set.

    Attributes:
      words, characters: errors utterance by utterance.
      interval: of the word error rate.
      level: share of resampled sets inside `interval`.
      speakers: word errors by speaker.
      confusions: the word errors by their words.
    """

    words: UtteranceErrors
    characters: UtteranceErrors
    interval: Interval
    level: float
    speakers: Mapping[str, ErrorCounts]
    confusions: Confusions

    @property
    def sentence_errors(self) -> int:
        """Utterances with at least one word error."""
        return int((self.words.errors > 0).sum())


def score(pairs: Pairs, speakers: Mapping[str, str], config: BootstrapConfig) -> Score:
    """Scores one system on one set.

    Args:
      pairs: utterance id → (reference words, hypothesis words).
      speakers: utterance id → speaker, as far as known.
    """
    words = score_utterances(pairs)
    return Score(
        words=words,
        characters=score_utterances(pairs, "character"),
        interval=confidence_interval(words, config),
        level=config.level,
        speakers=words.by_speaker(speakers),
        confusions=confusions(pairs),
    )


def _counts(counts: ErrorCounts) -> dict[str, Any]:
    return {
        "percent": round(counts.rate, 4),
        "words": counts.words,
        "errors": counts.errors,
        "ins": counts.insertions,
        "del": counts.deletions,
        "sub": counts.substitutions,
    }


def score_to_dict(result: Score, top: int = 50) -> dict[str, Any]:
    """Turns a score into plain values; `top` limits each list of confusions."""
    found = result.confusions
    return {
        "utterances": len(result.words.ids),
        "sentence_errors": result.sentence_errors,
        "wer": _counts(result.words.total()),
        "cer": _counts(result.characters.total()),
        "interval": {
            "level": result.level,
            "low": round(result.interval.low, 4),
            "high": round(result.interval.high, 4),
        },
        "speakers": {name: _counts(counts) for name, counts in result.speakers.items()},
        "substitutions": [[*words, n] for words, n in _most(found.substitutions.items(), top)],
        "insertions": [[word, n] for word, n in _most(found.insertions.items(), top)],
        "deletions": [[word, n] for word, n in _most(found.deletions.items(), top)],
    }


def _most(items: Iterable[tuple[Any, int]], top: int) -> list[tuple[Any, int]]:
    return sorted(items, key=lambda item: (-item[1], item[0]))[:top]


def format_report(result: Score, top: int = 10) -> str:
    """Writes the score for people: rates with interval, speakers, the most frequent confusions."""
    low, high = result.interval.low, result.interval.high
    count = len(result.words.ids)
    lines = [
        f"WER {result.words.total()}",
        f"    {100 * result.level:g} % interval {low:.2f} – {high:.2f} (bootstrap over {count} utterances)",
        f"CER {result.characters.total()}",
        f"SER {100.0 * result.sentence_errors / max(count, 1):.2f} % [ {result.sentence_errors} / {count} ]",
    ]
    if len(result.speakers) > 1:
        lines += ["", "by speaker"]
        width = max(map(len, result.speakers))
        lines += [f"  {name:{width}}  {counts}" for name, counts in result.speakers.items()]
    found = result.confusions
    for title, items in (
        ("substitutions", [(f"{a} → {b}", n) for (a, b), n in _most(found.substitutions.items(), top)]),
        ("deletions", _most(found.deletions.items(), top)),
        ("insertions", _most(found.insertions.items(), top)),
    ):
        if items:
            lines += ["", f"most frequent {title}"] + [f"  {n:5}  {text}" for text, n in items]
    return "\n".join(lines) + "\n"


def format_sweep(result: Sweep) -> str:
    """Writes the grid as tab-separated lines: lm_weight, penalty, wer, ins, del, sub, words."""
    lines = ["lm_weight\tpenalty\twer\tins\tdel\tsub\twords"]
    for p in result.points:
        c = p.counts
        lines.append(
            f"{p.lm_weight:g}\t{p.penalty:g}\t{c.rate:.2f}\t{c.insertions}\t{c.deletions}\t{c.substitutions}\t{c.words}"
        )
    return "\n".join(lines) + "\n"


def per_utterance(pairs: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> str:
    """Aligns every utterance: four lines each, `ref`, `hyp`, `op` (C, S, I, D) and `#csid`; *** fills gaps."""
    lines = []
    for name, (reference, hypothesis) in pairs.items():
        aligned = align(reference, hypothesis)
        ops = ["C" if a == b else "I" if not a else "D" if not b else "S" for a, b in aligned]
        lines.append(f"{name} ref " + "  ".join(a or "***" for a, _ in aligned))
        lines.append(f"{name} hyp " + "  ".join(b or "***" for _, b in aligned))
        lines.append(f"{name} op " + "  ".join(ops))
        lines.append(f"{name} #csid " + " ".join(str(ops.count(op)) for op in "CSID"))
    return "".join(line.rstrip() + "\n" for line in lines)
