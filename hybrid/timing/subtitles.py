"""Subtitles of aligned words: captions that break at pauses and fit on the screen; SRT and WebVTT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, check_fields
from hybrid.timing.timed_text import TimedWord

__all__ = ["Caption", "SubtitleConfig", "captions", "format_srt", "format_vtt"]


@dataclass(frozen=True)
class SubtitleConfig:
    """How words are gathered into captions."""

    max_line: int = field(default=42, metadata={"help": "Characters of a subtitle line."})
    max_lines: int = field(default=2, metadata={"help": "Lines of a subtitle."})
    max_duration: float = field(default=7.0, metadata={"help": "Seconds that a subtitle covers at most."})
    break_pause: float = field(default=0.6, metadata={"help": "Seconds of pause at which a subtitle ends."})

    def __post_init__(self) -> None:
        check_fields(self, max_line=COUNT, max_lines=COUNT, max_duration=POSITIVE, break_pause=NATURAL)


@dataclass(frozen=True)
class Caption:
    """Lines that are shown from start to end, seconds."""

    start: float
    end: float
    lines: tuple[str, ...]


def captions(words: Iterable[TimedWord], config: SubtitleConfig | None = None) -> list[Caption]:
    """Gathers words into captions, each as long as the limits allow; a word longer than a line gets one of its own."""
    config = config or SubtitleConfig()
    groups: list[list[TimedWord]] = []
    for word in words:
        if not word.label:
            continue
        group = groups[-1] if groups else []
        if (
            not group
            or word.start - group[-1].end >= config.break_pause
            or word.end - group[0].start > config.max_duration
            or len(_lines([*group, word], config.max_line)) > config.max_lines
        ):
            groups.append([word])
        else:
            group.append(word)
    return [Caption(g[0].start, g[-1].end, tuple(_lines(g, config.max_line))) for g in groups]


def _lines(words: Sequence[TimedWord], width: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word.label) <= width:
            lines[-1] += " " + word.label
        else:
            lines.append(word.label)
    return lines


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def format_srt(items: Sequence[Caption]) -> str:
    """Returns the text of a SubRip file."""
    blocks = []
    for number, item in enumerate(items, 1):
        blocks.append("\n".join([str(number), f"{_clock(item.start, ',')} --> {_clock(item.end, ',')}", *item.lines]))
    return "\n\n".join(blocks) + ("\n" if blocks else "")


def format_vtt(items: Sequence[Caption], notes: Sequence[str] = ()) -> str:
    """Returns the text of a WebVTT file, notes (which no player shows) first; `&`, `<` and `>` are escaped."""
    blocks = ["WEBVTT", *(f"NOTE {_escaped(note)}" for note in notes)]
    for item in items:
        lines = [_escaped(line) for line in item.lines]
        blocks.append("\n".join([f"{_clock(item.start, '.')} --> {_clock(item.end, '.')}", *lines]))
    return "\n\n".join(blocks) + "\n"


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
