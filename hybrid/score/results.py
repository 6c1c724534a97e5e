"""The table of results: tab-separated, one row per (system, set, lm), and the Markdown table made from it."""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from hybrid.base.artifact import atomic_path
from hybrid.base.disk import make_folder, writing
from hybrid.base.errors import InputError, quote
from hybrid.base.reading import require_followed, text_lines

__all__ = ["Result", "add_result", "format_table", "insert_table", "read_results", "write_results"]

BEGIN, END = "<!-- results -->", "<!-- end of results -->"


@dataclass(frozen=True)
class Result:
    """One row.

    Attributes:
      system: `mono`, `tri1`, `tri2b`, `tri3b`, `chain`, …
      set: the corpus's own name, e.g. `dev-clean`.
      lm: which language model.
      wer, low, high: percent; the interval is the bootstrap's.
      ins, dele, sub, words: counts (`dele` is the column `del`).
      cpu_s: CPU seconds of recognising the set, from features to lattices.
      max_gb: peak memory of the same, in 1e9 bytes.
    """

    system: str
    set: str
    lm: str
    wer: float
    low: float
    high: float
    ins: int
    dele: int
    sub: int
    words: int
    cpu_s: float
    max_gb: float

    def __post_init__(self) -> None:
        for name in ("system", "set", "lm"):
            value = getattr(self, name)
            if not value or value != value.strip() or "\t" in value or "\n" in value:
                raise ValueError(f"{name} is '{quote(value)}', wanted a name without tabs and line ends")

    @property
    def key(self) -> tuple[str, str, str]:
        """What a row is about."""
        return self.system, self.set, self.lm


COLUMNS = tuple("del" if f.name == "dele" else f.name for f in fields(Result))
_FORMATS = ("s", "s", "s", ".2f", ".2f", ".2f", "d", "d", "d", "d", ".1f", ".2f")


def _cells(row: Result) -> list[str]:
    return [format(value, form) for value, form in zip(astuple(row), _FORMATS)]


def read_results(path: str | os.PathLike) -> list[Result]:
    """Reads a table; a file that is not there is an empty one.

    Raises:
      InputError: other columns, or a cell that is no number.
    """
    path = Path(path)
    require_followed(path)
    if not path.exists():
        return []
    lines = [line for _, line in text_lines(path)]
    if not lines or tuple(lines[0].split("\t")) != COLUMNS:
        found = quote(lines[0]) if lines else ""
        wanted = ", ".join(COLUMNS)
        raise InputError.at(path, f"columns are '{quote(found)}', wanted {wanted} with tabs", "Mend the first line.", 1)
    rows = []
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        try:
            if len(cells) != len(COLUMNS):
                raise ValueError(f"{len(cells)} cells")
            names, rates, counts, costs = cells[:3], cells[3:6], cells[6:10], cells[10:]
            rows.append(Result(*names, *map(float, rates), *map(int, counts), *map(float, costs)))  # type: ignore[arg-type]
        except ValueError as error:
            raise InputError.at(
                path, f"is no row of {len(COLUMNS)} cells ({quote(error)})", "Mend it.", number
            ) from error
    return rows


def write_results(path: str | os.PathLike, rows: Sequence[Result]) -> None:
    """Writes the table, atomically."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
    writer.writerow(COLUMNS)
    writer.writerows(map(_cells, rows))
    with atomic_path(path) as temporary:
        temporary.write_text(buffer.getvalue(), encoding="utf-8")


def add_result(path: str | os.PathLike, row: Result) -> None:
    """Puts a row into the table, in the place of an older one of the same system, set and lm.

    Recipes that run side by side may add to one table: a lock file beside it is held meanwhile.
    """
    path = Path(path)
    make_folder(path.parent)
    with writing(path), open(path.with_name(f".{path.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = read_results(path)
        keys = [r.key for r in rows]
        if row.key in keys:
            rows[keys.index(row.key)] = row
        else:
            rows.append(row)
        write_results(path, rows)


def format_table(rows: Sequence[Result]) -> str:
    """Writes rows as a Markdown table, numbers flush right, with the interval in one column."""
    header = ["system", "set", "lm", "WER %", "95 % interval", "ins", "del", "sub", "words", "CPU s", "GB"]
    lines = ["| " + " | ".join(header) + " |", "|---|---|---|" + "---:|" * (len(header) - 3)]
    for row in rows:
        system, name, lm, wer, low, high, *rest = _cells(row)
        lines.append("| " + " | ".join([system, name, lm, wer, f"{low} – {high}", *rest]) + " |")
    return "\n".join(lines) + "\n"


def insert_table(document: str, table: str, place: object) -> str:
    """Puts the table between the two marks of a Markdown document.

    Raises:
      InputError: the marks are not there.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError.at(
            place, "has no place for the table", f"Write the lines {BEGIN} and {END} where it shall stand."
        )
    return f"{before}{BEGIN}\n{table}{END}{after}"
