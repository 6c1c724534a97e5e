"""Praat TextGrid files: tiers of labelled intervals, in the long and the short text form.

The form is described in Praat's manual, "TextGrid file formats". Text is UTF-8; files that Praat wrote in UTF-16 are
read too.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError, quote
from hybrid.base.reading import read_bytes

__all__ = ["LabelledTime", "TextGrid", "Tier", "format_textgrid", "read_textgrid", "write_textgrid"]

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<![^\s])(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![^\s])|<(exists|absent)>')
CURE = "Save it again as a text file from Praat."


@dataclass(frozen=True)
class LabelledTime:
    """An interval of a tier, in seconds; `label` is empty where there is nothing."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Tier:
    """A named row of intervals that tile the time.

    Raises:
      ValueError: intervals that leave a gap, overlap or have no length.
    """

    name: str
    intervals: tuple[LabelledTime, ...]

    def __post_init__(self) -> None:
        for before, after in zip(self.intervals, self.intervals[1:]):
            if abs(before.end - after.start) > 1e-4:
                raise ValueError(
                    f"tier '{quote(self.name)}': an interval ends at {before.end} s, the next starts at {after.start} s"
                )
        if not all(-math.inf < i.start < i.end < math.inf for i in self.intervals):
            raise ValueError(f"tier '{quote(self.name)}': an interval without length, or without end")


@dataclass(frozen=True)
class TextGrid:
    """Tiers over one stretch of time, in seconds."""

    start: float
    end: float
    tiers: tuple[Tier, ...]


def format_textgrid(grid: TextGrid, short: bool = False) -> str:
    """Returns the text of a file. Times have as many digits as they need; quotes in labels are doubled."""
    lines = list(_short_lines(grid) if short else _long_lines(grid))
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{round(value, 6):.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _edges(tier: Tier) -> Iterator[tuple[str, str, str]]:
    """Yields (start, end, label); a start is written as the end before it, to the last digit."""
    last = None
    for interval in tier.intervals:
        end = _number(interval.end)
        yield last if last is not None else _number(interval.start), end, _quoted(interval.label)
        last = end


def _long_lines(grid: TextGrid) -> Iterator[str]:
    yield from ('File type = "ooTextFile"', 'Object class = "TextGrid"', "")
    yield from (f"xmin = {_number(grid.start)} ", f"xmax = {_number(grid.end)} ", "tiers? <exists> ")
    yield from (f"size = {len(grid.tiers)} ", "item []: ")
    for number, tier in enumerate(grid.tiers, 1):
        yield from (f"    item [{number}]:", '        class = "IntervalTier" ', f"        name = {_quoted(tier.name)} ")
        yield from (f"        xmin = {_number(grid.start)} ", f"        xmax = {_number(grid.end)} ")
        yield f"        intervals: size = {len(tier.intervals)} "
        for place, (start, end, label) in enumerate(_edges(tier), 1):
            yield f"        intervals [{place}]:"
            yield from (f"            xmin = {start} ", f"            xmax = {end} ", f"            text = {label} ")


def _short_lines(grid: TextGrid) -> Iterator[str]:
    yield from ('File type = "ooTextFile"', 'Object class = "TextGrid"', "")
    yield from (_number(grid.start), _number(grid.end), "<exists>", str(len(grid.tiers)))
    for tier in grid.tiers:
        yield from ('"IntervalTier"', _quoted(tier.name), _number(grid.start), _number(grid.end))
        yield str(len(tier.intervals))
        for edge in _edges(tier):
            yield from edge


def write_textgrid(path: str | os.PathLike, grid: TextGrid, short: bool = False) -> None:
    """Writes a file.

    Raises:
      HybridError: the path is not writable.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(format_textgrid(grid, short), encoding="utf-8")


def read_textgrid(path: str | os.PathLike) -> TextGrid:
    """Reads either form; tiers of points are left out.

    Raises:
      InputError: missing, in an unknown encoding, no TextGrid, or cut short.
    """
    tokens = _tokens(Path(path))
    try:
        if next(tokens) != "ooTextFile" or next(tokens) != "TextGrid":
            raise InputError.at(path, "is no TextGrid", CURE)
        start, end, exists = float(next(tokens)), float(next(tokens)), next(tokens)
        count = int(next(tokens)) if exists == "exists" else 0
        found = [_read_tier(tokens) for _ in range(count)]
        return TextGrid(start, end, tuple(tier for tier in found if tier is not None))
    except (StopIteration, ValueError, OverflowError) as error:
        why = quote(error) or "it ends too early"
        raise InputError.at(path, f"is cut short or damaged ({why})", CURE) from error


def _tokens(path: Path) -> Iterator[str]:
    raw = read_bytes(path)
    kind = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(kind)
    except UnicodeDecodeError as error:
        raise InputError.at(path, f"is not {kind.upper()} (byte {error.start})", CURE) from error
    for match in _TOKEN.finditer(text):
        quoted, number, flag = match.groups()
        yield quoted.replace('""', '"') if quoted is not None else number if number is not None else flag


def _read_tier(tokens: Iterator[str]) -> Tier | None:
    kind, name = next(tokens), next(tokens)
    next(tokens), next(tokens)
    count = int(next(tokens))
    if kind != "IntervalTier":
        for _ in range(2 * count):
            next(tokens)
        return None
    intervals = [_read_interval(tokens) for _ in range(count)]  # no generator: the end of the file passes through
    return Tier(name, tuple(intervals))


def _read_interval(tokens: Iterator[str]) -> LabelledTime:
    start, end = float(next(tokens)), float(next(tokens))
    return LabelledTime(next(tokens), start, end)
