"""A decoding graph from sentences, words and grammars: normalise, find or guess pronunciations, make G, compile."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import MappingProxyType

import numpy as np

from hybrid.base.compiled import interpreted
from hybrid.base.errors import InputError, quote
from hybrid.base.log import get_logger
from hybrid.base.reading import read_text
from hybrid.formats.openfst import FstArrays
from hybrid.fst.det_star import is_compiled
from hybrid.graph.config import GraphConfig
from hybrid.graph.decoding import ARPA, LEXICON, DecodingGraph, compile_decoding_graph
from hybrid.graph.own_grammar import MixtureConfig, garbage_word, mixed_grammar
from hybrid.graph.word_classes import ClassLists
from hybrid.hmm import read_transition_model
from hybrid.tree import read_tree
from lexicon.dict_dir import write_dict_dir
from lexicon.lang_config import LangConfig
from lexicon.lang_dir import LangDir
from lexicon.lexicon import Lexicon, Pronunciation
from lexicon.phones import POSITIONS, PhoneSet
from lexicon.prepare import prepare_lang
from lexicon.symbols import SymbolTable
from lexicon.text import read_user_lines
from lexicon.word_sources import read_utterances
from lexicon.words.blanks import split_words
from lexicon.words.config import TextConfig
from lexicon.words.normaliser import Normaliser
from lexicon.words.phone_fit import absent_phones, base_phones, fit_phones, is_marked, lacking_phones
from lexicon.words.spelling import Spelling
from lexicon.words.user_lexicon import read_user_lexicon, tell_rejected
from lm.arpa import write_arpa
from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.grammar.automaton import automaton_of
from lm.grammar.srgs import write_srgs
from lm.grammar.values import GARBAGE, Grammar
from lm.grammar_fst import ngram_to_fst
from lm.ngram import NgramModel
from lm.word_list import ListEntry, spelled

__all__ = ["GRAMMAR", "PRONUNCIATIONS", "OwnWords", "build_graph", "read_words"]

logger = get_logger(__name__)
PRONUNCIATIONS, GRAMMAR = "pronunciations.tsv", "grammar.grxml"
OOV = "<UNK>"
LITTLE = 2000  # words of sentences, whose language model takes a second or two by plain Python
WORDS_OF_GARBAGE = 6  # in an utterance that the model of garbage is made from
SILENCES = ("SIL", "SPN", "NSN", "sil", "spn", "nsn")
Guess = Callable[[Sequence[str]], Mapping[str, Sequence[Sequence[str]]]]
Spoken = dict[str, list[tuple[str, ...]]]


@dataclass(frozen=True, eq=False)
class OwnWords:
    """What may be said, and how.

    Attributes:
      words: to be recognised, whether in a sentence or not. given: word → the user's own pronunciations.
    """

    words: tuple[str, ...] = ()
    given: Spoken = field(default_factory=dict)


def read_words(paths: Iterable[str | os.PathLike]) -> OwnWords:
    """Reads lists of words, with pronunciations (`WORD PHONE …`) or without.

    Raises:
      InputError: missing, empty, or not UTF-8.
    """
    words: dict[str, None] = {}
    given: Spoken = {}
    for path in paths:
        alone = {number: line for number, line in read_user_lines(path) if len(split_words(line)) == 1}
        listed, rejected = read_user_lexicon(path)
        tell_rejected([problem for problem in rejected if problem.line not in alone])
        words.update(dict.fromkeys(alone.values()))
        for row in listed:
            given.setdefault(row.entry.word, []).append(row.entry.phones)
    return OwnWords(tuple(words), given)


def build_graph(
    model: Path,
    sentences: Sequence[Path],
    out_dir: Path,
    own: OwnWords,
    lexicon: LangDir | Lexicon | None = None,
    guess: Guess | None = None,
    text: TextConfig | None = None,
    order: int = 3,
    config: GraphConfig = GraphConfig(),  # noqa: B008  (frozen)
    grammar: Grammar | None = None,
    mixture: MixtureConfig = MixtureConfig(),  # noqa: B008  (frozen)
    slots: Sequence[str] = (),
    open_vocabulary: bool = False,
    lists: Mapping[str, Sequence[ListEntry]] = MappingProxyType({}),
) -> DecodingGraph:
    """Builds the graph folder of a user's own sentences and words, or of a grammar.

    Args:
      model: folder with tree, transitions, topo and phones.txt. text: how texts become words.
      sentences: what may be said, a sentence a line. lexicon: whose pronunciations are known.
      guess: pronunciations of words that are in no list; None: there may be none.
      grammar: what may be said besides the sentences, or alone; `own` only tells pronunciations then.
      mixture: how it stands beside sentences and other speech.
      slots: classes ($NAME in texts) that are filled when the graph is used. open_vocabulary: with a place for words.
      lists: what other classes are expanded to, class → entries, which may name classes in their turn.

    Returns:
      The graph; its folder has `pronunciations.tsv`: word, source (given, lexicon, guessed), phones; and `lm.arpa`, the
      language model that is G, or `grammar.grxml`, the grammar in the graph's words.

    Raises:
      InputError: words without pronunciation or phones of the model, nothing to recognise, a class without contents.
    """
    told = _with_phones(own, chain(*lists.values()))
    table, known = _phones_of(model, told)
    listed = Spelling([*told.given, *own.words, *_words_of(lexicon)])
    classes = ClassLists.of(slots, {name: spelled(some, listed) for name, some in lists.items()}, open_vocabulary)
    normaliser = Normaliser(text, [*listed.words, *classes.slots, *classes.lists], classes=True)
    texts = _Texts.read(sentences, grammar, normaliser, own, classes)
    words, said = texts.words, texts.said
    if not words and not texts.classes and not _has_garbage(said):
        raise InputError.at(out_dir, "there is nothing to recognise", "Give --sentences, --words or --grammar.")
    spoken, source = _spoken(words, told, lexicon, guess, known)
    rows = [f"{w}\t{source[w]}\t{' '.join(phones)}\n" for w in words for phones in spoken[w]]
    files = {PRONUNCIATIONS: "".join(rows)} | ({} if said is None else {GRAMMAR: write_srgs(said)})
    files |= _slot_lexicon(spoken, lexicon) if (filled := bool(classes.slots) or open_vocabulary) else {}
    pronounced = _sequences(spoken, lexicon, known) if said is not None and mixture.garbage else []
    _tell(source, len(texts.lines))
    with tempfile.TemporaryDirectory() as temporary:
        outside = bool(pronounced) or _has_garbage(said)
        lang = _make_lang(Path(temporary), spoken, table, known, model, text, outside, filled)
        sequences = texts.lines or ([] if said else [[w] for w in words])
        settings, symbols = EstimateConfig(order, add_unseen=True), lang.words.extended(texts.classes)
        with interpreted(sum(map(len, sequences)) <= LITTLE and not is_compiled(lang.L_arrays(disambig=True))):
            acceptor, ngram = _acceptor(sequences, sorted(texts.listed), settings, symbols, said, mixture, pronounced)
            files |= _arpa(ngram, Path(temporary) / ARPA)
        transitions = read_transition_model(model / "transitions", read_tree(model / "tree"))
        labelled = classes.labelled(texts.classes, lang.words, texts.place)
        return compile_decoding_graph(lang, acceptor, transitions, out_dir, config, model, files, labelled)


@dataclass(frozen=True, eq=False)
class _Texts:
    """What may be said, in the lexicon's spelling.

    Attributes:
      lines: words of the sentences. said: the grammar, if there is one.
      listed: words of the language model. words: of all that may be said. classes: among them, by name.
      place: where it is from, for errors.
    """

    lines: list[list[str]]
    said: Grammar | None
    listed: set[str]
    words: list[str]
    classes: list[str]
    place: str

    @classmethod
    def read(
        cls, sentences: Sequence[Path], grammar: Grammar | None, normaliser: Normaliser, own: OwnWords,
        classes: ClassLists,
    ) -> _Texts:  # fmt: skip
        """Reads the sentences.

        Raises:
          InputError: see `read_utterances` and `ClassLists.names`.
        """
        lines = [words for path in sentences for _, words in read_utterances(path, False, normaliser) if words]
        normaliser.changes.log("sentences")
        said = None if grammar is None else grammar.with_words(normaliser.words)
        listed = {w for line in lines for w in line} | (set() if said and not lines else {*own.words, *own.given})
        spelt = listed | {word for entry in classes.entries for word in entry.words}
        spelt |= set(said.words) - {GARBAGE} if said else set()
        place = ", ".join(map(str, sentences)) or (grammar.place if grammar is not None else "words")
        names = classes.names(spelt, place)
        return cls(lines, said, listed, sorted(spelt - set(names)), names, place)


def _with_phones(own: OwnWords, entries: Iterable[ListEntry]) -> OwnWords:
    """Returns the user's own pronunciations with those that entries of lists give."""
    given = {word: list(some) for word, some in own.given.items()}
    for entry in entries:
        for word, phones in zip(entry.words, entry.phones):
            if phones not in given.setdefault(word, []):
                given[word].append(phones)
    return OwnWords(own.words, given)


def _arpa(ngram: NgramModel | None, file: Path) -> dict[str, str]:
    """Returns the file of the graph folder that holds the language model, if there is one."""
    if ngram is None:
        return {}
    write_arpa(file, ngram)
    return {ARPA: read_text(file)}


def _tell(source: Mapping[str, str], sentences: int) -> None:
    """Logs where the pronunciations of words are from."""
    counts = [sum(s == kind for s in source.values()) for kind in ("given", "lexicon", "guessed")]
    message = "%d words (%d given, %d of the lexicon, %d guessed), %d sentences"
    logger.info(message, len(source), *counts, sentences)


def _phones_of(model: Path, own: OwnWords) -> tuple[SymbolTable, frozenset[str]]:
    """Returns the phones of a model, and their names without marks, after a look at the given pronunciations."""
    table = SymbolTable.read(model / "phones.txt")
    known = base_phones(table, is_marked(table))
    if lacking := lacking_phones(((w, p) for w, some in own.given.items() for p in some), known):
        raise absent_phones(model / "phones.txt", lacking, known)
    return table, known


def _words_of(lexicon: LangDir | Lexicon | None) -> Sequence[str]:
    """Returns the words of a lang folder or dictionary."""
    if isinstance(lexicon, LangDir):
        return tuple(lexicon.spelling.words)
    return () if lexicon is None else tuple(lexicon.words)


def _slot_lexicon(spoken: Spoken, lexicon: LangDir | Lexicon | None) -> dict[str, str]:
    """Returns the file of the graph folder that tells how words that may fill a slot are said."""
    table = {} if lexicon is None else _of_lexicon(lexicon, _words_of(lexicon))
    rows = sorted({(word, phones) for word, some in {**table, **spoken}.items() for phones in some})
    return {LEXICON: "".join(f"{word} {' '.join(phones)}\n" for word, phones in rows)}


def _acceptor(
    sentences: list[list[str]],
    vocabulary: Sequence[str],
    settings: EstimateConfig,
    words: SymbolTable,
    grammar: Grammar | None,
    mixture: MixtureConfig,
    pronounced: list[list[str]],
) -> tuple[FstArrays, NgramModel | None]:
    """Returns G of sentences, of a grammar, or of both, and the language model where it is all that G is."""
    ngram = estimated = None
    if sentences:
        estimated, _ = estimate_from_sentences(sentences, settings, vocabulary)
        ngram = ngram_to_fst(estimated, words)
    if grammar is not None:
        phones = None
        if pronounced:
            phones = ngram_to_fst(estimate_from_sentences(pronounced, EstimateConfig(2))[0], words)
        return mixed_grammar(automaton_of(grammar), ngram, phones, words, mixture), None
    assert ngram is not None and estimated is not None
    return ngram, estimated


def _has_garbage(grammar: Grammar | None) -> bool:
    return grammar is not None and GARBAGE in grammar.words


def _sequences(spoken: Spoken, lexicon: LangDir | Lexicon | None, known: frozenset[str]) -> list[list[str]]:
    """Returns utterances of garbage: the phones of random words of the lexicon, some words each."""
    table = spoken if lexicon is None else {**_of_lexicon(lexicon, _words_of(lexicon)), **spoken}
    words = [phones for word in sorted(table) for phones in _fitted(table[word], known - set(SILENCES))[:1]]
    order = np.random.default_rng(0).permutation(len(words)).tolist()
    chunks = (order[at : at + WORDS_OF_GARBAGE] for at in range(0, len(order), WORDS_OF_GARBAGE))
    return [[garbage_word(phone) for number in chunk for phone in words[number]] for chunk in chunks]


def _spoken(
    words: Sequence[str],
    own: OwnWords,
    lexicon: LangDir | Lexicon | None,
    guess: Guess | None,
    known: frozenset[str],
) -> tuple[Spoken, dict[str, str]]:
    """Returns the pronunciations of each word in the model's phones, and where they are from."""
    tables = [("given", own.given), ("lexicon", {} if lexicon is None else _of_lexicon(lexicon, words))]
    spoken: Spoken = {}
    source: dict[str, str] = {}
    for kind, table in tables:
        for word in words:
            if word not in spoken and (rows := _fitted(table.get(word, ()), known)):
                spoken[word], source[word] = rows, kind
    rest = [word for word in words if word not in spoken]
    guessed = guess(rest) if guess is not None and rest else {}
    for word in rest:
        if rows := _fitted(guessed.get(word, ()), known):
            spoken[word], source[word] = rows, "guessed"
            logger.info("guessed: %s %s", quote(word), quote(" / ".join(" ".join(row) for row in rows), 200))
    if missing := [word for word in rest if word not in spoken]:
        shown = ", ".join(map(quote, missing[:10])) + (", …" if len(missing) > 10 else "")
        cure = "Give them with --words, a lexicon with --lang, or a model that guesses with --g2p."
        raise InputError.at("words", f"{len(missing)} of {len(words)} have no pronunciation: {shown}", cure)
    return spoken, source


def _fitted(rows: Iterable[Sequence[str]], known: frozenset[str]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(row for phones in rows if (row := fit_phones(phones, known)) is not None))


def _of_lexicon(lang: LangDir | Lexicon, words: Sequence[str]) -> Spoken:
    """Returns the pronunciations of words in a lang folder, without marks of place, or in a dictionary."""
    if isinstance(lang, Lexicon):
        return {word: [row.phones for row in lang.pronunciations(word)] for word in words if word in lang}
    wanted = {lang.words[word]: word for word in words if word in lang.spelling}
    found: Spoken = {}
    for number, _, *phones in lang.align_lexicon:
        if number in wanted:
            names = (lang.phones.symbol(p) for p in phones)
            plain = tuple(n[:-2] if lang.word_boundary and n[-2:] in POSITIONS else n for n in names)
            found.setdefault(wanted[number], []).append(plain)
    return found


def _make_lang(
    folder: Path, spoken: Spoken, table: SymbolTable, known: frozenset[str], model: Path, text: TextConfig | None,
    outside: bool = False, filled: bool = False,
) -> LangDir:  # fmt: skip
    """Makes dictionary and lang folder of some words in the phones of a model.

    Args:
      outside: with words of garbage for all phones.
      filled: with all phones of the model, since words are put in later.
    """
    marked = is_marked(table)
    silences = sorted(p for p in known if (p in table if marked else p in SILENCES))
    silences.sort(key=lambda p: p not in ("SIL", "sil"))  # the optional one first
    if not silences:
        cure = f"Silence is called one of {', '.join(SILENCES)}."
        raise InputError.at(model / "phones.txt", "has no phone of silence", cure)
    noise = next((p for p in silences if p in ("SPN", "spn")), silences[-1])
    rows = [Pronunciation(word, phones) for word, some in spoken.items() for phones in some if word != OOV]
    if outside:
        voiced = sorted(known - set(silences))
        rows += [Pronunciation(garbage_word(phone), (phone,)) for phone in voiced]
        rows += [Pronunciation(GARBAGE, (phone,), 1 / len(voiced)) for phone in voiced]
    said = known if filled else {p for row in rows for p in row.phones}
    phones = PhoneSet.from_phones(silences, sorted(said - set(silences)))
    lexicon = Lexicon((Pronunciation(OOV, (noise,)), *sorted(rows)))
    write_dict_dir(folder / "dict", phones, lexicon)
    topo = read_text(model / "topo")
    config = LangConfig(position_dependent_phones=marked)
    prepare_lang(folder / "dict", OOV, folder / "lang", lambda *_: topo, config, table, text)
    return LangDir.load(folder / "lang")
