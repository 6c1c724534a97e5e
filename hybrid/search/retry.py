"""The retry ladder: an utterance whose search reached no final state is searched again with wider beams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hybrid.search.batch import split_batch
from hybrid.search.config import RetryConfig
from hybrid.search.protocol import Searcher, SearchResult

__all__ = ["search_with_retries"]


def search_with_retries(
    searcher: Searcher, scores: Sequence[Any], lengths: Any = None, retry: RetryConfig | None = None
) -> list[SearchResult]:
    """Searches a batch, and again with wider beams what came out partial or empty.

    The result of a repetition is kept if it is complete, or if there was none before it; `attempts` lists all
    settings tried. What stays partial after the last one is given as it is, flagged. What failed is not tried again.
    """
    retry = retry or RetryConfig()
    utterances = split_batch(scores, lengths)
    results = searcher.search(utterances)
    for config in retry.ladder(searcher.config):
        again = [i for i, result in enumerate(results) if not (result.complete or result.failed)]
        if not again:
            break
        for i, new in zip(again, searcher.with_config(config).search([utterances[i] for i in again])):
            attempts = (*results[i].attempts, config)
            better = new.complete or (results[i].empty and not new.empty)
            results[i] = replace(new if better else results[i], attempts=attempts)
    return results
