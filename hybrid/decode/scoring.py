"""Scores of many utterances: batch by batch, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hybrid.base.errors import HybridError, InputError
from hybrid.model.protocol import score_batch

if TYPE_CHECKING:
    from hybrid.model.folder import Model

__all__ = ["BATCH_FRAMES", "NothingSaid", "NothingSaidError", "or_reason", "score_all"]

T = TypeVar("T")

BATCH_FRAMES = 6000  # a minute


class NothingSaidError(InputError):
    """In a recording there is no speech."""


class NothingSaid(str):
    """Why an utterance has no scores though nothing is wrong with it: its transcript is empty."""


def or_reason(make: Callable[..., T], *arguments: Any) -> T | str:
    """Returns what `make` makes of the arguments, or why it could not, in one line."""
    try:
        return make(*arguments)
    except NothingSaidError as error:
        return NothingSaid(error)
    except (HybridError, OSError, ValueError, ArithmeticError) as error:
        return " ".join(str(error).split())


def score_all(
    model: Model, features: Iterable[np.ndarray | str], batch_frames: int = BATCH_FRAMES
) -> Iterator[Any | str]:
    """Scores utterances in batches of neighbours.

    Args:
      features: float32 [T][D] of each, or why there are none.
      batch_frames: of a batch at most, padding counted; a longer utterance is a batch of its own.

    Yields:
      Of each utterance, in order, float32 [T'][num_pdfs] on the model's device, or why there are none.
    """
    waiting: list[np.ndarray | str] = []
    longest = 0
    for one in features:
        longer = longest if isinstance(one, str) else max(longest, len(one))
        if waiting and longer * (len(waiting) + 1) > batch_frames:
            yield from _score(model, waiting)
            waiting, longer = [], 0 if isinstance(one, str) else len(one)
        waiting.append(one)
        longest = longer
    yield from _score(model, waiting)


def _score(model: Model, waiting: Sequence[np.ndarray | str]) -> Iterator[Any | str]:
    """Scores one batch; where that fails, each by itself, so that only the bad one has none."""
    good = [one for one in waiting if not isinstance(one, str)]
    found = or_reason(score_batch, model.acoustic_model, good)
    if isinstance(found, str):
        found = [one for rows in good for one in _alone(model, rows)]
    scores = iter(found)
    for one in waiting:
        yield one if isinstance(one, str) else next(scores)


def _alone(model: Model, rows: np.ndarray) -> list[Any]:
    found = or_reason(score_batch, model.acoustic_model, [rows])
    return [found] if isinstance(found, str) else found
