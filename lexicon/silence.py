"""Silence at the ends of a sentence, for lexicons with word-specific silence probabilities.

Words carry the probability of silence after them; what no word carries stands in `silprob.txt`
(Chen, Xu, Wang, Povey and Khudanpur, Interspeech 2015).
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import quote
from lexicon.text import Problem, check_lines

__all__ = ["SilenceProbs", "check_silence_probs", "number_text"]

_SILPROB_NAMES = ("<s>", "</s>_s", "</s>_n", "overall")


@dataclass(frozen=True)
class SilenceProbs:
    """What `silprob.txt` holds: silence at the ends of a sentence, where no word carries it.

    Attributes:
      begin: P(silence | sentence begin), in (0, 1).
      end_after_silence, end_after_word: positive corrections of the sentence end.
      overall: P(silence) over all places; kept for the file's sake.
    """

    begin: float
    end_after_silence: float
    end_after_word: float
    overall: float

    def __post_init__(self) -> None:
        if not 0 < self.begin < 1 or not 0 < self.overall <= 1:
            raise ValueError("probabilities of silence must lie between 0 and 1")
        if not (0 < self.end_after_silence < math.inf and 0 < self.end_after_word < math.inf):
            raise ValueError("corrections of the sentence end must be positive")

    def write(self, path: str | os.PathLike) -> None:
        """Writes `silprob.txt`."""
        numbers = (
            number_text(self.begin, ".2f"),
            number_text(self.end_after_silence, ".15g"),
            number_text(self.end_after_word, ".15g"),
            number_text(self.overall, ".2f"),
        )
        with atomic_path(path) as temporary:
            lines = "".join(f"{name} {number}\n" for name, number in zip(_SILPROB_NAMES, numbers))
            temporary.write_text(lines, encoding="utf-8")


def number_text(value: float, form: str) -> str:
    """Returns a number in the form that Kaldi's files have, or in full where that form would lose digits."""
    text = format(value, form)
    return text if float(text) == value else repr(value)


def check_silence_probs(path: str | os.PathLike) -> tuple[SilenceProbs | None, list[Problem]]:
    """Reads `silprob.txt` and collects what is wrong with it."""
    path = Path(path)
    lines, problems = check_lines(path)
    values: dict[str, float] = {}
    for number, line in enumerate(lines, 1):
        name, *rest = line.split() or [""]
        try:
            value = float(rest[0]) if len(rest) == 1 else math.nan
        except ValueError:
            value = math.nan
        limit = 1 if name in ("<s>", "overall") else math.inf
        fits = 0 < value <= limit and value < math.inf and not (name == "<s>" and value == 1)
        if name not in _SILPROB_NAMES or name in values or not fits:
            wanted = f"one line each of {', '.join(_SILPROB_NAMES)}, numbers above 0 (<s> below 1, overall up to 1)"
            problems.append(Problem(path, number, f"found '{quote(line.strip(), 60)}'", wanted, "Correct the line."))
        else:
            values[name] = value
    missing = [name for name in _SILPROB_NAMES if name not in values]
    if missing and not problems:
        problems.append(Problem(path, None, f"lacks the line '{quote(missing[0])}'", "four lines", "Add it."))
    if problems:
        return None, problems
    return SilenceProbs(*(values[name] for name in _SILPROB_NAMES)), []
