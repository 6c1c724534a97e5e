"""What a training tells: a table of measurements, a plain log, curves for TensorBoard, and warnings that explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hybrid.base.artifact import atomic_path
from hybrid.base.log import get_logger
from hybrid.base.optional import import_optional
from hybrid.base.reading import reading, text_lines
from hybrid.train.nnet.objective import Objective

__all__ = ["Curves", "read_rows", "row_text", "warn_of_range", "write_rows"]

logger = get_logger(__name__)
TOLERANCE = 1e-3  # nats per frame by which rounding may exceed a ceiling


def write_rows(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Writes a tab-separated table with a line for each measurement."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["\t".join(names)]
    for row in rows:
        values = [row.get(name) for name in names]
        lines.append("\t".join("" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for v in values))
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_rows(path: Path) -> list[dict[str, float]]:
    """Reads what `write_rows` wrote.

    Raises:
      InputError: it cannot be read, or a value is no number.
    """
    lines = [line.split("\t") for _, line in text_lines(path)]
    with reading(path, "table of measurements", "Train again, or remove it."):
        return [{n: float(v) for n, v in zip(lines[0], line) if v} for line in lines[1:]]


def row_text(name: str, row: Mapping[str, float]) -> str:
    """Returns a measurement as one line of the log."""
    hidden = ("number", "epoch", "hours", "step", "learning_rate")
    figures = ", ".join(f"{key} {value:.4f}" for key, value in row.items() if key not in hidden)
    hours = f"{row['hours']:.2f} h of audio, " if row["hours"] else ""  # none where text is trained on
    return (
        f"{name}: {hours}epoch {row['epoch']:.2f}, step {row['step']:.0f}, "
        f"learning rate {row['learning_rate']:.2g}: {figures}"
    )


def warn_of_range(objective: Objective, figures: Mapping[str, float], what: str) -> None:
    """Warns where an objective is larger than it can be, and says what to look at."""
    value = figures.get("objective")
    if value is not None and objective.ceiling is not None and value > objective.ceiling + TOLERANCE:
        logger.warning(
            "the %s objective on the %s data is %.4f a frame, and can never exceed %g. %s",
            objective.name, what, value, objective.ceiling, objective.advice,
        )  # fmt: skip


class Curves:
    """Curves for TensorBoard, where they are wanted."""

    def __init__(self, folder: Path, wanted: bool) -> None:
        self._writer: Any = None
        if wanted:
            cure = "Install it with `pip install 'hybrid-asr[tensorboard]'`, or leave --tensorboard out."
            board = import_optional("torch.utils.tensorboard", "--tensorboard", cure)
            self._writer = board.SummaryWriter(str(folder))

    def add(self, row: Mapping[str, float]) -> None:
        """Adds a measurement."""
        if self._writer is None:
            return
        for name, value in row.items():
            if name not in ("number", "step"):
                self._writer.add_scalar(name, value, int(row["step"]))
        self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        if self._writer is not None:
            self._writer.close()
