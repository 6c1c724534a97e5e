"""A lang folder of a changed dictionary, with all else as in a lang folder at hand, so that its models still fit."""

from __future__ import annotations

import os

from hybrid.base.errors import MismatchError, quote
from hybrid.base.names import is_id
from hybrid.base.reading import read_text
from lexicon.dict_dir import read_dict_dir
from lexicon.disambig import assign_disambig
from lexicon.lang_config import LangConfig
from lexicon.lang_dir import LangDir
from lexicon.lexicon import Lexicon
from lexicon.lexicon_fst import silence_probability
from lexicon.phones import PhoneSet
from lexicon.prepare import prepare_lang
from lexicon.symbols import EPSILON

__all__ = ["remake_lang"]


def remake_lang(dict_dir: str | os.PathLike, lang: LangDir, out_dir: str | os.PathLike) -> None:
    """Makes a lang folder from a dictionary folder with the settings, topology and phone ids of another lang folder.

    Where the dictionary holds the same words and pronunciations, only L.fst and L_disambig.fst differ.

    Args:
      dict_dir: the changed dictionary: other probabilities, or silence probabilities added.
      lang: the lang folder that models and graphs were made with.

    Raises:
      InputError: a mistake in the dictionary folder.
      MismatchError: the dictionary has other words, or other phones.
    """
    phone_set, lexicon = read_dict_dir(dict_dir)
    _require_same_words(dict_dir, lexicon, lang)
    topo = read_text(lang.topo_path)
    config = _settings_of(lang, phone_set)
    prepare_lang(dict_dir, lang.oov_word, out_dir, lambda *phones: topo, config, lang.phones, lang.text_config)


def _require_same_words(dict_dir: str | os.PathLike, lexicon: Lexicon, lang: LangDir) -> None:
    disambig = {lang.words.symbol(i) for i in lang.word_disambig}
    theirs = set(lang.words.symbols) - {EPSILON, "#0", "<s>", "</s>"} - disambig
    mine = set(lexicon.words)
    if mine == theirs:
        return
    word = min(mine ^ theirs)
    lacking, having = (dict_dir, lang.path) if word in theirs else (lang.path, dict_dir)
    raise MismatchError(
        f"{lacking}: lacks the word '{quote(word)}' of {having} ({len(mine)} words in the dictionary, {len(theirs)} in "
        "the lang folder). Use the dictionary folder that the lang folder was made from."
    )


def _settings_of(lang: LangDir, phone_set: PhoneSet) -> LangConfig:
    """Reads off a lang folder, this toolkit's or Kaldi's, how it was made."""
    base = phone_set.nonsilence_phones
    marked = any(phone not in lang.phones and f"{phone}_B" in lang.phones for phone in base)
    silence = set(lang.silence_phones)
    shared = any(not r.shared and not r.split and silence == set(r.phones) for r in lang.roots)
    spoken = [" ".join(map(str, row[2:])) for row in lang.align_lexicon if row[0]]
    highest = max(int(s[1:]) for s in lang.phones.symbols if s.startswith("#") and is_id(s[1:]))
    extra_words = [lang.words.symbol(i) for i in lang.word_disambig]
    return LangConfig(
        position_dependent_phones=marked,
        share_silence_phones=shared,
        silence_prob=silence_probability(lang.L_arrays(), lang.optional_silence),
        extra_phone_disambig=max(1, highest - max(assign_disambig(spoken), default=0)),
        extra_word_disambig=tuple(symbol for symbol in extra_words if symbol != "#0"),
    )
