"""Pronunciations and pauses counted in alignments, and the dictionary and lang folders with their probabilities."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.align.texts import usable_texts
from hybrid.base.config import config_to_dict
from hybrid.base.errors import HybridError, MismatchError, quote
from hybrid.base.failures import failed_text
from hybrid.base.log import get_logger, log_settings, log_totals, track
from hybrid.base.reading import read_text
from hybrid.feats.store import FeatureStore
from hybrid.hmm import TransitionModel
from hybrid.model.folder import Model, check_phones
from hybrid.timing.segments import phone_segments
from hybrid.timing.word_alignment import LexiconWordAlignment
from lexicon.dict_dir import read_dict_dir, write_dict_dir
from lexicon.lang_dir import LangDir
from lexicon.lexicon import Lexicon
from lexicon.phones import POSITIONS, PhoneSet
from lexicon.pronunciation_counts import PAUSE, PronunciationCounts
from lexicon.pronunciation_probs import PronunciationConfig, reestimate
from lexicon.remake import remake_lang

__all__ = ["add_probabilities", "count_pronunciations"]

logger = get_logger(__name__)

LEAST_LIKELY = 8  # pronunciations shown at the end
Texts = Sequence[tuple[str, Sequence[int]]]


def count_pronunciations(
    alignments: CorpusAlignments, texts: Texts, model: TransitionModel, lang: LangDir, phone_set: PhoneSet
) -> tuple[PronunciationCounts, dict[str, str]]:
    """Counts which pronunciations were said, and where pauses were.

    Args:
      alignments: of the model.
      texts: (utterance, word ids) of utterances that were aligned.
      lang: what the alignments were made with.
      phone_set: of the dictionary; tells which names of phones carry position marks.

    Returns:
      The counts, and the reason of each utterance that could not be counted.

    Raises:
      MismatchError: the lang folder has phones that the dictionary does not know.
    """
    word_alignment, names = LexiconWordAlignment.from_lang(lang), _base_names(lang, phone_set)
    counts, failures = PronunciationCounts(), dict[str, str]()
    for utterance, word_ids in track(texts, "counting pronunciations"):
        try:
            segments = word_alignment.words(phone_segments(alignments[utterance], model), word_ids)
        except ValueError:
            failures[utterance] = "the aligned phones do not spell the transcript (another text, or another lexicon)"
            continue
        counts.add(
            [
                (lang.words.symbol(s.label) if s.label else PAUSE, *(names[phone.label] for phone in s.phones))
                for s in segments
            ]
        )
    return counts, failures


def _base_names(lang: LangDir, phone_set: PhoneSet) -> dict[int, str]:
    """Returns phone id → name in the dictionary, without position mark."""
    known = {*phone_set.silence_phones, *phone_set.nonsilence_phones}
    names = {}
    for number in (*lang.silence_phones, *lang.nonsilence_phones):
        marked = lang.phones.symbol(number)
        suffix = next((mark for mark in POSITIONS if marked.endswith(mark)), "")
        names[number] = marked if marked in known else marked.removesuffix(suffix)
        if names[number] not in known:
            raise MismatchError(
                f"{lang.path}: its phone '{quote(marked)}' is no phone of the dictionary ({len(known)} phones). "
                "Use the dictionary folder that the lang folder was made from."
            )
    return names


def add_probabilities(
    dict_dir: str | os.PathLike,
    lang: LangDir,
    model: Model,
    alignments: CorpusAlignments,
    store: FeatureStore,
    out_dict: str | os.PathLike,
    out_lang: str | os.PathLike,
    config: PronunciationConfig | None = None,
) -> PronunciationCounts:
    """Makes a dictionary and a lang folder with the probabilities that alignments tell.

    The dictionary folder gets `lexiconp.txt`, `lexiconp_silprob.txt`, `silprob.txt`, the counts in Kaldi's forms and
    `failed.txt`; the lang folder keeps words, phones, topology and tree roots, so that models, trees and grammars
    stay as they are.

    Args:
      dict_dir, lang: what the alignments were made with.
      model: that aligned.
      store: the set that was aligned, for its transcripts.

    Raises:
      InputError: a mistake in the dictionary folder.
      MismatchError: dictionary, lang folder, alignments or features do not belong together.
      HybridError: more than half of the utterances could not be counted.
    """
    config = config or PronunciationConfig()
    log_settings(logger, "pronunciation probabilities", config_to_dict(config))
    check_phones(model, lang.path / "phones.txt")
    phone_set, lexicon = read_dict_dir(dict_dir)
    known = set(store.ids)
    utterances = [u for u in alignments.ids if u in known]
    if not utterances:
        raise MismatchError(f"none of the aligned utterances is in {store.path}. Use the set that was aligned.")
    texts, failures = usable_texts(store, lang, utterances)
    counts, more = count_pronunciations(alignments, texts, model.transition_model, lang, phone_set)
    failures |= more
    if len(failures) > counts.utterances:
        name, reason = next(iter(sorted(failures.items())))
        raise HybridError(
            f"{len(failures)} of {len(utterances)} utterances could not be counted; the first, {name}: {reason}"
        )
    weighted = reestimate(lexicon, counts, config)
    files = {**counts.to_files(), "failed.txt": failed_text(failures)}
    boundaries = Path(dict_dir) / "word_boundary.txt"
    if boundaries.exists():
        files["word_boundary.txt"] = read_text(boundaries)
    inputs = {"dict": str(dict_dir), "L.fst": lang.path / "L.fst"}
    inputs |= {} if model.path is None else {"model": model.path / "final.safetensors"}
    write_dict_dir(out_dict, phone_set, weighted, config_to_dict(config), inputs, files)
    remake_lang(out_dict, lang, out_lang)
    for line in _report(weighted, counts):
        logger.info("%s", line)
    log_totals(logger, counts.utterances, len(failures), sum(store.duration(u) for u, _ in texts))
    return counts


def _report(lexicon: Lexicon, counts: PronunciationCounts) -> Iterator[str]:
    """Yields what is worth knowing: how much was said, how often pauses were, and which variants are unlikely."""
    words = sum(n for item, n in counts.spoken.items() if item[0] != PAUSE)
    kinds = sum(item[0] != PAUSE for item in counts.spoken)
    pauses = sum(n for item, n in counts.spoken.items() if item[0] == PAUSE)
    yield f"{counts.utterances} utterances, {words} words in {kinds} of {len(lexicon)} pronunciations, {pauses} pauses"
    if lexicon.silence_probs is not None:
        probs = lexicon.silence_probs
        yield f"silence: {probs.overall:.2f} of all places, {probs.begin:.2f} of sentence beginnings"
    variants = sorted((e for e in lexicon.entries if e.probability < 1), key=lambda e: e.probability)
    if variants:
        shown = (f"{e.word} {e.probability:.3g} {' '.join(e.phones)}" for e in variants[:LEAST_LIKELY])
        yield "least likely: " + "; ".join(shown)
