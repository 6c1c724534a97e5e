"""What may be searched: the scores of one utterance, checked, and a batch cut into utterances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybrid.base.errors import InputError
from hybrid.base.scores import first_bad_score

__all__ = ["NO_FRAMES", "as_array", "check_scores", "score_fault", "split_batch"]

NO_FRAMES = "has no frames. Leave it out, or look at its audio."


def as_array(scores: Any) -> np.ndarray:
    """Returns scores, an array or a tensor of any device, as a float32 array in the order of C."""
    if hasattr(scores, "detach"):
        scores = scores.detach().cpu().numpy()
    return np.ascontiguousarray(scores, dtype=np.float32)


def score_fault(scores: np.ndarray, num_pdfs: int) -> str:
    """Returns what is wrong with the scores of one utterance or chunk, and the cure; "" where they can be searched.

    -inf is a score like others, that of an impossible pdf; but no path goes through a frame that has no other.

    Args:
      scores: float32, wanted [frame][pdf_id]; there may be no frames.
      num_pdfs: columns wanted.
    """
    if scores.ndim != 2 or (scores.shape[1] != num_pdfs and scores.shape[0] > 0):
        found = f"scores have shape {tuple(scores.shape)}, wanted [frames][{num_pdfs}], a column for each pdf"
        return f"{found}. Use the scores and the graph of one model."
    best = scores.max(axis=1, initial=-np.inf)
    if np.isfinite(best).all():
        return ""
    bad = first_bad_score(scores)
    if bad is None:
        found = f"all {num_pdfs} scores are -inf at frame {int(np.isneginf(best).argmax())}, which no path goes through"
    else:
        found = f"score {scores[bad]} at frame {bad[0]}, pdf {bad[1]}"
    return f"{found}. Look at the features and the model."


def check_scores(scores: Any, num_pdfs: int, place: object = "scores") -> np.ndarray:
    """Checks the scores of one utterance or chunk and returns them as a float32 array [frame][pdf_id].

    Raises:
      InputError: what `score_fault` tells.
    """
    array = as_array(scores)
    fault = score_fault(array, num_pdfs)
    if fault:
        raise InputError(f"{place}: {fault}")
    return array


def split_batch(scores: Any, lengths: Any) -> list[np.ndarray]:
    """Cuts a batch into utterances.

    Args:
      scores: [N][T][P], or a sequence of [T][P]: arrays or tensors, natural logs.
      lengths: frames of each, [N]; None: all there are.

    Returns:
      float32 of each utterance, as `as_array`.

    Raises:
      InputError: lengths that do not fit.
    """
    items: Sequence[Any] = scores
    if lengths is None:
        return [as_array(item) for item in items]
    lengths = [int(n) for n in lengths]
    if len(lengths) != len(items):
        raise InputError.at("scores", f"{len(items)} utterances but {len(lengths)} lengths")
    for index, (item, length) in enumerate(zip(items, lengths)):
        if not 0 <= length <= len(item):
            raise InputError.at(f"utterance {index} of the batch", f"length {length} of {len(item)} frames")
    return [as_array(item[:length]) for item, length in zip(items, lengths)]
