"""The words of the texts to be aligned with their pronunciations: a small lexicon cut out of a lang folder.

Words that the lang folder lacks get pronunciations from the user's list or a guesser (a G2P); without them they are
spoken as its out-of-vocabulary word. Every word keeps its own spelling in the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.base.log import get_logger
from hybrid.formats.openfst import FstArrays
from lexicon.disambig import assign_disambig
from lexicon.lang_dir import LangDir
from lexicon.lexicon_fst import PronunciationArrays, add_disambig_loops, lexicon_fst, silence_probability
from lexicon.phones import POSITIONS
from lexicon.symbols import EPSILON, SymbolTable
from lexicon.words.phone_fit import base_phones, fit_phones

__all__ = ["OOV", "Guesser", "Pronouncer", "TextLexicon"]

logger = get_logger(__name__)
OOV = "<oov>"
Guesser = Callable[[Sequence[str]], Mapping[str, Sequence[Sequence[str]]]]
"""Words → pronunciations of each as phone names without position marks, best first; words may be absent."""


@dataclass(frozen=True, eq=False)
class Pronouncer:
    """How words are spoken that the lang folder lacks.

    Attributes:
      given: word → pronunciations of the user's own list, which are no guesses.
      guess: for all other words; None leaves them without.
    """

    given: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    guess: Guesser | None = None

    def __call__(self, words: Sequence[str]) -> dict[str, Sequence[Sequence[str]]]:
        found = {word: self.given[word] for word in words if word in self.given}
        rest = [word for word in words if word not in found]
        return {**found, **(self.guess(rest) if self.guess is not None and rest else {})}


@dataclass(frozen=True, eq=False)
class TextLexicon:
    """Words by small ids, and how they are spoken.

    Attributes:
      words: `<eps>`, the words with pronunciations, `<oov>`, `#0`.
      pronunciations: word id → phone ids, with position marks.
      guessed: words whose pronunciations were guessed.
      arcs: L for training graphs, with the lang folder's probabilities.
      silence: probability of silence between words.
    """

    words: SymbolTable
    pronunciations: Mapping[int, tuple[tuple[int, ...], ...]]
    guessed: frozenset[str]
    arcs: FstArrays
    silence: float
    lang: LangDir

    @classmethod
    def make(cls, lang: LangDir, vocabulary: Iterable[str], pronouncer: Pronouncer | None = None) -> TextLexicon:
        """Cuts the words out of a lang folder and asks for the pronunciations of the others.

        Raises:
          InputError: the lang folder has no word of one phone to model a guessed word's place on.
        """
        wanted = sorted(set(vocabulary) - {EPSILON, OOV, "#0"})
        known = [w for w in wanted if w in lang.spelling and lang.words[w] != lang.oov_id]
        inside = set(known)
        others = _other_spellings(lang, [w for w in wanted if w not in inside])
        guesses = _guesses(lang, [w for w in wanted if w not in inside and w not in others], pronouncer)
        added = {**others, **guesses}
        words = SymbolTable((EPSILON, *known, *sorted(added), OOV, "#0"))
        number = {lang.words[w]: words[w] for w in known} | {lang.oov_id: words[OOV]}
        spoken: dict[int, list[tuple[int, ...]]] = {}
        for row in lang.align_lexicon:
            if row[0] in number and row[2:] not in spoken.setdefault(number[row[0]], []):
                spoken[number[row[0]]].append(row[2:])
        spoken |= {words[w]: list(rows) for w, rows in added.items()}
        whole = lang.L_arrays()
        silence = silence_probability(whole, lang.optional_silence)
        arcs = _cut(whole, number)
        if added:
            arcs = _add_words(arcs, {words[w]: rows for w, rows in added.items()}, spoken, lang)
        table = {word: tuple(rows) for word, rows in spoken.items()}
        given = pronouncer.given if pronouncer is not None else {}
        return cls(words, table, frozenset(w for w in guesses if w not in given), arcs, silence, lang)

    @property
    def oov_id(self) -> int:
        """The word that stands for words without pronunciation."""
        return self.words[OOV]

    def ids(self, text: Iterable[str]) -> list[int]:
        """Returns the ids of words; those without pronunciation become `oov_id`."""
        return [self.words.get(word, self.oov_id) or self.oov_id for word in text]

    def guessed_lines(self) -> list[str]:
        """Returns `WORD PHONE …` of each guessed pronunciation, without marks: a list to correct and give back."""
        rows = [(word, phones) for word in sorted(self.guessed) for phones in self.pronunciations[self.words[word]]]
        names, marked = self.lang.phones, self.lang.word_boundary is not None
        return [" ".join([word, *(_plain(names.symbol(p), marked) for p in phones)]) for word, phones in rows]

    def rows(self) -> list[tuple[int, ...]]:
        """Returns (word id, word id, phone ids …) of each pronunciation; word 0 for what may stand between words."""
        spoken = [(word, word, *phones) for word, some in self.pronunciations.items() for phones in some]
        return [*((0, 0, phone) for phone in self.lang.silence_phones), *spoken]

    def with_disambig(self) -> tuple[FstArrays, list[int]]:
        """Returns L with disambiguation symbols for decoding graphs, and the ids of these phones.

        All pronunciations are equally likely in it.
        """
        rows = [(word, phones) for word, some in sorted(self.pronunciations.items()) for phones in some]
        numbers = assign_disambig([" ".join(map(str, phones)) for _, phones in rows])
        first = self.lang.phones.max_id + 1  # first: #0, then the symbol after silence, then those of words
        spelt = [(*phones, *([first + 1 + n] if n else [])) for (_, phones), n in zip(rows, numbers)]
        splits = np.concatenate([[0], np.cumsum([len(s) for s in spelt])]).astype(np.int64)
        flat = np.array([p for s in spelt for p in s], np.int32)
        word_ids = np.array([word for word, _ in rows], np.int32)
        arrays = PronunciationArrays(word_ids, splits, flat, np.zeros(len(rows)))
        silence = min(max(self.silence, 0.1), 0.9)
        fst = lexicon_fst(arrays, silence, self.lang.optional_silence, first + 1)
        symbols = list(range(first, first + 2 + max(numbers, default=0)))
        return add_disambig_loops(fst, [first], [self.words["#0"]]), symbols


def _other_spellings(lang: LangDir, words: Sequence[str]) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Returns word → phone ids for words that the lexicon spells otherwise (case, Unicode form, marks)."""
    found = {w: lang.words[other] for w in words if (other := lang.spelt(w)) is not None}
    wanted, rows = set(found.values()) - {lang.oov_id}, dict[int, list[tuple[int, ...]]]()
    for row in lang.align_lexicon if wanted else ():
        if row[0] in wanted and row[2:] not in rows.setdefault(row[0], []):
            rows[row[0]].append(row[2:])
    return {w: tuple(rows[number]) for w, number in found.items() if number in rows}


def _guesses(
    lang: LangDir, words: Sequence[str], pronouncer: Pronouncer | None
) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Returns word → phone ids of the pronunciations, given or guessed, that use the model's phones only."""
    if not words:
        return {}
    found = pronouncer(words) if pronouncer is not None else {}
    out: dict[str, tuple[tuple[int, ...], ...]] = {}
    known = base_phones(lang.phones, lang.word_boundary is not None)
    for word in words:
        rows = [_marked(lang, phones, known) for phones in found.get(word, ()) if phones]
        usable = tuple(dict.fromkeys(row for row in rows if row is not None))
        if usable:
            out[word] = usable
    shown = ", ".join(map(quote, words[:5])) + (" …" if len(words) > 5 else "")
    given = sum(word in pronouncer.given for word in out) if pronouncer is not None else 0
    logger.info("%d words are outside the lexicon (%s): %d pronunciations given, %d guessed, the rest spoken as %s",
                len(words), shown, given, len(out) - given, quote(lang.oov_word))  # fmt: skip
    return out


def _marked(lang: LangDir, phones: Sequence[str], known: frozenset[str]) -> tuple[int, ...] | None:
    """Returns the ids of phones with the marks of their places in a word; None where the model lacks one."""
    fitted = fit_phones(phones, known)
    if fitted is None:
        return None
    marks = [""] * len(phones)
    if lang.word_boundary is not None:
        marks = ["_B", *["_I"] * (len(phones) - 2), "_E"] if len(phones) > 1 else ["_S"]
    ids = [lang.phones.get(phone + mark, -1) for phone, mark in zip(fitted, marks)]
    return None if -1 in ids else tuple(ids)


def _plain(phone: str, marked: bool) -> str:
    return phone[:-2] if marked and phone[-2:] in POSITIONS else phone


def _cut(lexicon: FstArrays, number: Mapping[int, int]) -> FstArrays:
    """Keeps the arcs of some words and gives them new ids."""
    import kaldifst

    from hybrid.formats.openfst import from_kaldifst, to_kaldifst

    table = np.zeros(int(lexicon.olabels.max(initial=0)) + 1, np.int32)
    for old, new in number.items():
        if old < len(table):
            table[old] = new
    keep = (lexicon.olabels == 0) | (table[lexicon.olabels] > 0)
    sources = lexicon.sources()
    part = FstArrays.from_arcs(
        lexicon.start, sources[keep], lexicon.ilabels[keep], table[lexicon.olabels[keep]],
        lexicon.next_states[keep], lexicon.costs[keep], lexicon.final_costs,
    )  # fmt: skip
    graph = to_kaldifst(part)
    kaldifst.connect(graph)
    return from_kaldifst(graph)


def _add_words(
    lexicon: FstArrays,
    new: Mapping[int, Sequence[tuple[int, ...]]],
    spoken: Mapping[int, Sequence[tuple[int, ...]]],
    lang: LangDir,
) -> FstArrays:
    """Gives new words the places of a word of one phone: chains beside each of its arcs."""
    singles = [w for w, rows in spoken.items() if w not in new and all(len(r) == 1 for r in rows)]
    templates = np.flatnonzero(lexicon.olabels == singles[-1]) if singles else np.zeros(0, np.int64)
    if not len(templates):
        raise InputError.at(
            lang.path, f"no word of a single phone such as {quote(lang.oov_word)} tells where words begin and end",
            "Give the out-of-vocabulary word one phone, or add the missing words to the lexicon.",
        )  # fmt: skip
    sources = lexicon.sources()
    rows: list[tuple[int, int, int, int, float]] = []
    states = lexicon.num_states
    for word, some in new.items():
        for phones in some:
            for arc in templates.tolist():
                at, label, cost = int(sources[arc]), word, float(lexicon.costs[arc])
                for phone in phones[:-1]:
                    rows.append((at, phone, label, states, cost))
                    at, label, cost, states = states, 0, 0.0, states + 1
                rows.append((at, phones[-1], label, int(lexicon.next_states[arc]), cost))
    columns = [np.array(column) for column in zip(*rows)]
    finals = np.concatenate([lexicon.final_costs, np.full(states - lexicon.num_states, np.inf, np.float32)])
    old = (sources, lexicon.ilabels, lexicon.olabels, lexicon.next_states, lexicon.costs)
    source, ilabel, olabel, target, cost_of = (np.concatenate(pair) for pair in zip(old, columns))
    order = np.lexsort((olabel, source))
    return FstArrays.from_arcs(
        lexicon.start, source[order], ilabel[order], olabel[order], target[order], cost_of[order], finals
    )
