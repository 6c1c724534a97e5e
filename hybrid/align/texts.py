"""The transcripts of a prepared set as word ids."""

from __future__ import annotations

from hybrid.base.errors import InputError, quote
from hybrid.base.log import get_logger
from hybrid.feats.store import FeatureStore
from lexicon.lang_dir import LangDir

__all__ = ["usable_texts"]

logger = get_logger(__name__)


def usable_texts(
    store: FeatureStore, lang: LangDir, utterances: list[str]
) -> tuple[list[tuple[str, list[int]]], dict[str, str]]:
    """Returns the word ids of each utterance, and the reason of each that has none.

    Words outside the lexicon become the lang folder's OOV word; they are counted in the log.

    Raises:
      InputError: no utterance has a transcript.
    """
    texts: list[tuple[str, list[int]]] = []
    failures: dict[str, str] = {}
    words = outside = 0
    for utterance in utterances:
        text = store.text(utterance)
        if not text:
            failures[utterance] = "empty transcript"
            continue
        ids = lang.text_to_ids(text)
        words += len(ids)
        outside += sum(i == lang.oov_id for i in ids)
        texts.append((utterance, ids))
    if outside:
        logger.info("%d of %d words are outside the lexicon and become %s", outside, words, quote(lang.oov_word))
    if not texts:
        raise InputError.at(
            store.path, f"none of {len(utterances)} utterances has a transcript", "Extract features of cuts with text."
        )
    return texts, failures
