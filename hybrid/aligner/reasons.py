"""Why an utterance cannot be aligned: the beam, the text, the rate, or audio that is missing at one end.

Biased decoding tells what is said. If that is the text, the beam was too narrow; if the text's words at one end are
missing, audio is; if the text fits once the audio is played at another speed, the rate is wrong; else the text is not
what is said, and both are printed where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from hybrid.aligner.biased import Heard
from hybrid.aligner.differences import Difference, compare, differing_runs
from hybrid.timing.frame_times import FrameTimes

__all__ = ["SPEEDS", "Cause", "Diagnosis", "better_speeds", "examine", "shown"]

SPEEDS = (0.5, 2.0, 8000 / 11025, 11025 / 8000, 22050 / 16000, 16000 / 22050, 44100 / 48000, 48000 / 44100)
SHOWN = 6  # words printed of a difference


class Cause(Enum):
    """What kind of failure it is."""

    BEAM = "beam too narrow"
    TEXT = "text is not what is said"
    START = "audio lacks the beginning of the text"
    END = "audio lacks the end of the text"
    RATE = "wrong speed or sampling rate"


@dataclass(frozen=True)
class Diagnosis:
    """What was found out about one utterance.

    Attributes:
      cause: the kind.
      message: one line for failed.txt.
      error: share of the text's words that were not heard.
      places: where text and audio differ, text and heard words of each place.
    """

    cause: Cause
    message: str
    error: float
    places: str = ""


def shown(words: Sequence[str]) -> str:
    """Returns words in quotes, shortened in the middle."""
    if not words:
        return "nothing"
    if len(words) > SHOWN:
        half = SHOWN // 2
        words = [*words[:half], "…", *words[-half:]]
    return "'" + " ".join(words) + "'"


def examine(
    text: Sequence[str], heard: Sequence[Heard], times: FrameTimes, known: Callable[[str], str], max_error: float
) -> Diagnosis:
    """Compares a text with what biased decoding heard.

    Args:
      text: the words; heard: what was decoded. times: when its frames begin.
      known: word → what the decoder calls it (words without pronunciation are all one).
      max_error: share of differing words up to which the text counts as what is said.
    """
    spoken = [h.word for h in heard]
    names = [known(word) for word in text]
    steps = compare(names, spoken)
    runs = differing_runs(names, spoken, steps)
    right = sum(1 for a, b in steps.tolist() if a >= 0 and b >= 0 and names[a] == spoken[b])
    wrong = len(text) - right
    error = wrong / max(1, len(text))
    parts = [_told(text, heard, run, times.boundary) for run in runs[:3]]
    places = "; ".join(parts) + (f"; and {len(runs) - 3} more places" if len(runs) > 3 else "")
    lacking = _lacking(text, runs, right)
    if lacking is not None:
        cause, run = lacking
        words = text[run.start : run.end]
        found = f"{cause.value}: {len(words)} of {len(text)} words were not heard: {shown(words)}"
        return Diagnosis(cause, found, error, places)
    if error <= max_error:
        found = f"{Cause.BEAM.value}: {right} of {len(text)} words of the text were heard"
        return Diagnosis(Cause.BEAM, found, error, places)
    return Diagnosis(Cause.TEXT, f"{Cause.TEXT.value}: {wrong} of {len(text)} words differ: {places}", error, places)


def _lacking(text: Sequence[str], runs: Sequence[Difference], right: int) -> tuple[Cause, Difference] | None:
    """Finds a long run of words at one end of the text that nothing was heard for, if the rest was heard."""
    for cause, run in ((Cause.START, runs[0]), (Cause.END, runs[-1])) if runs else ():
        at_end = run.start == 0 if cause is Cause.START else run.end == len(text)
        count, heard = run.end - run.start, run.heard_end - run.heard_start
        rest = len(text) - count
        if at_end and count >= 2 and 3 * heard <= count and rest and right >= 0.6 * rest:
            return cause, run
    return None


def _told(text: Sequence[str], heard: Sequence[Heard], run: Difference, time: Callable[[int], float]) -> str:
    words = [h.word for h in heard[run.heard_start : run.heard_end]]
    before = heard[run.heard_start - 1].end if run.heard_start else 0
    start = heard[run.heard_start].start if words else before
    end = heard[run.heard_end - 1].end if words else before
    return f"text {shown(text[run.start : run.end])}, heard {shown(words)} at {time(start):.2f}-{time(end):.2f} s"


def better_speeds(score: Callable[[float], float], speeds: Sequence[float] = SPEEDS) -> list[float]:
    """Returns the speeds at which a text fits better than at the given one, the best first.

    Args:
      score: speed → score per frame of the text on the audio played at that speed, -inf where it does not fit.
    """
    base = score(1.0)
    found = [(score(speed), speed) for speed in speeds]
    return [speed for value, speed in sorted(found, reverse=True) if value > base]
