"""Makes a lang folder from a dictionary folder; equal, file by file, to what Kaldi's prepare_lang.sh makes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hybrid.base.artifact import atomic_folder, write_meta
from hybrid.base.errors import InputError
from hybrid.base.openfst import FstArrays, write_fst
from lexicon.dict_dir import read_dict_dir
from lexicon.disambig import assign_disambig
from lexicon.fst import PronunciationArrays, add_disambig_loops, lexicon_fst, lexicon_fst_with_silence_probs
from lexicon.lexicon import Lexicon
from lexicon.phones import PhoneInventory, PhoneSet, word_positions
from lexicon.symbols import EPSILON, SymbolTable, is_disambig
from lexicon.text import read_lines

__all__ = ["LangConfig", "prepare_lang"]

MakeTopo = Callable[[list[int], list[int]], str]


@dataclass(frozen=True)
class LangConfig:
    """How a dictionary becomes a lang folder."""

    position_dependent_phones: bool = field(
        default=True,
        metadata={"help": "Mark phones as begin, end, internal or singleton of a word; finds word ends in lattices."},
    )
    share_silence_phones: bool = field(
        default=False, metadata={"help": "Let all silence phones use the same pdfs; for corpora with little noise."}
    )
    silence_prob: float = field(
        default=0.5, metadata={"help": "Probability of silence between words; 0 leaves optional silence out."}
    )
    extra_phone_disambig: int = field(
        default=1, metadata={"help": "Disambiguation symbols beyond those of words; the last one marks silence."}
    )
    extra_word_disambig: tuple[str, ...] = field(
        default=(), metadata={"help": "Further symbols of G (such as #x) that L lets pass; may be repeated."}
    )

    def __post_init__(self) -> None:
        if not 0 <= self.silence_prob < 1:
            raise ValueError(f"silence_prob is {self.silence_prob}; wanted at least 0 and below 1")
        if self.extra_phone_disambig < 1:
            raise ValueError(f"extra_phone_disambig is {self.extra_phone_disambig}; wanted at least 1")
        for symbol in self.extra_word_disambig:
            if not is_disambig(symbol) or symbol[1:].isdecimal() or len(symbol.split()) != 1:
                raise ValueError(f"extra_word_disambig has '{symbol}'; wanted '#' and a name that is no number")
        if len(set(self.extra_word_disambig)) != len(self.extra_word_disambig):
            raise ValueError("extra_word_disambig has a symbol twice")


def prepare_lang(
    dict_dir: str | os.PathLike,
    oov: str,
    out_dir: str | os.PathLike,
    make_topo: MakeTopo,
    config: LangConfig | None = None,
    phones: SymbolTable | None = None,
) -> None:
    """Makes a lang folder, whole or not at all.

    Args:
      dict_dir: the dictionary folder; read once, checked, not changed.
      oov: the word of the lexicon that stands for words outside it.
      make_topo: (non-silence phone ids, silence phone ids) → text of `topo`.
      phones: phone table of an existing model, whose ids the phones then keep (a new dictionary for an
        old model). Disambiguation symbols are numbered from its `#0` on.

    Raises:
      InputError: a mistake in the dictionary folder (all are checked), an OOV word or a phone table that
        do not fit it.
    """
    config = config or LangConfig()
    phone_set, lexicon = read_dict_dir(dict_dir)
    if oov not in lexicon:
        cure = f"Add a line such as '{oov} {phone_set.silence_phones[-1]}', or name another word."
        raise InputError.at(dict_dir, f"the lexicon lacks '{oov}'; wanted a word that stands for unknown words", cure)
    inventory = phone_set.inventory(config.position_dependent_phones, config.share_silence_phones)
    if not config.position_dependent_phones:
        inventory = _with_given_boundaries(inventory, Path(dict_dir) / "word_boundary.txt")
    _Lang(lexicon, phone_set, inventory, config, phones).write(out_dir, dict_dir, oov, make_topo)


def _with_given_boundaries(inventory: PhoneInventory, file: Path) -> PhoneInventory:
    """Takes word boundaries from the dictionary folder, for phones that were marked by someone else."""
    if not file.exists():
        return inventory
    kinds: dict[str, str] = {}
    known = {*inventory.silence, *inventory.nonsilence}
    for number, line in enumerate(read_lines(file), 1):
        fields = line.split()
        if len(fields) != 2 or fields[0] not in known:
            raise InputError.at(file, f"found '{line.strip()[:60]}'; wanted a phone and its kind", "Correct it.", number)
        kinds[fields[0]] = fields[1]
    if missing := sorted(known - set(kinds)):
        raise InputError.at(file, f"lacks phone '{missing[0]}'; wanted every phone", "Add it.")
    return PhoneInventory(**{**vars(inventory), "word_boundary": kinds})


class _Lang:
    """Everything in a lang folder but the topology, computed once and then written."""

    def __init__(
        self,
        lexicon: Lexicon,
        phone_set: PhoneSet,
        inventory: PhoneInventory,
        config: LangConfig,
        phones: SymbolTable | None,
    ) -> None:
        self.lexicon, self.inventory, self.config = lexicon, inventory, config
        marked = config.position_dependent_phones
        suffixes = {n: word_positions(n) for n in {len(e.phones) for e in lexicon.entries}}
        self.marked = [
            tuple(p + s for p, s in zip(e.phones, suffixes[len(e.phones)])) if marked else e.phones
            for e in lexicon.entries
        ]
        self.numbers = assign_disambig(self.marked)
        self.silence_symbol = f"#{max(self.numbers) + config.extra_phone_disambig}"
        count = max(self.numbers) + config.extra_phone_disambig + 1
        self.word_disambig = ["#0", *config.extra_word_disambig]
        self.disambig = [*(f"#{i}" for i in range(count)), *config.extra_word_disambig]
        names = [*inventory.silence, *inventory.nonsilence]
        self.phones = _phone_table(names, self.disambig, phones, marked, set(phone_set.nonsilence_phones))
        self.words = SymbolTable((EPSILON, *lexicon.words, "#0", "<s>", "</s>", *config.extra_word_disambig))

    def write(self, out_dir: str | os.PathLike, dict_dir: object, oov: str, make_topo: MakeTopo) -> None:
        ids = self.phones.encode
        topo = make_topo(ids(self.inventory.nonsilence), ids(self.inventory.silence))
        plain, with_disambig = self.fst(False), self.fst(True)
        with atomic_folder(out_dir) as folder:
            (folder / "phones").mkdir()
            self.words.write(folder / "words.txt")
            self.phones.write(folder / "phones.txt")
            for name, text in self._texts(oov, topo).items():
                (folder / name).write_text(text, encoding="utf-8", newline="\n")
            write_fst(folder / "L.fst", plain)
            write_fst(folder / "L_disambig.fst", with_disambig)
            facts = {"words": len(self.lexicon.words), "pronunciations": len(self.lexicon), "phones": len(self.phones)}
            settings = {**asdict(self.config), "oov": oov}
            write_meta(folder, "lang", settings, {"dict": str(dict_dir)}, facts)

    def fst(self, disambig: bool) -> FstArrays:
        """Builds L or, with disambiguation symbols, L_disambig."""
        index, words = self.phones.encode, self.words
        id_of = dict(zip(self.phones.symbols, self.phones.ids))
        rows = [[id_of[p] for p in row] for row in self.marked]
        if disambig:
            symbols = index(self.disambig)
            rows = [[*row, symbols[n]] if n else row for row, n in zip(rows, self.numbers)]
        entries = self.lexicon.entries
        silence = [e.silence for e in entries if e.silence is not None]
        prons = PronunciationArrays.from_lists(
            [words[e.word] for e in entries], rows, [e.probability for e in entries], silence or None
        )
        phone = self.phones[self.inventory.optional_silence]
        after = self.phones[self.silence_symbol] if disambig else None
        probs = self.lexicon.silence_probs
        if probs is not None:
            fst = lexicon_fst_with_silence_probs(prons, probs, phone, after)
        else:
            fst = lexicon_fst(prons, self.config.silence_prob, phone, after)
        if not disambig:
            return fst
        return add_disambig_loops(fst, index(self.word_disambig), self.words.encode(self.word_disambig))

    def _texts(self, oov: str, topo: str) -> dict[str, str]:
        """Returns file name → text of every text file but the symbol tables."""
        inventory, ids = self.inventory, self.phones.encode
        texts = {"topo": topo, "oov.txt": f"{oov}\n", "oov.int": f"{self.words[oov]}\n"}
        columns = {
            "silence": inventory.silence,
            "nonsilence": inventory.nonsilence,
            "optional_silence": (inventory.optional_silence,),
            "disambig": tuple(self.disambig),
            "context_indep": inventory.silence,
        }
        for name, symbols in columns.items():
            numbers = ids(symbols)
            texts[f"phones/{name}.txt"] = _lines([s] for s in symbols)
            texts[f"phones/{name}.int"] = _lines([i] for i in numbers)
            texts[f"phones/{name}.csl"] = ":".join(map(str, numbers)) + "\n"
        texts["phones/sets.txt"] = _lines(inventory.sets)
        texts["phones/sets.int"] = _lines(map(ids, inventory.sets))
        texts["phones/roots.txt"] = _lines([*kind, *group] for *kind, group in inventory.roots)
        texts["phones/roots.int"] = _lines([*kind, *ids(group)] for *kind, group in inventory.roots)
        texts["phones/extra_questions.txt"] = self._question_text()
        texts["phones/extra_questions.int"] = _lines(map(ids, inventory.extra_questions))
        if inventory.word_boundary is not None:
            kinds = inventory.word_boundary.items()
            texts["phones/word_boundary.txt"] = _lines(kinds)
            texts["phones/word_boundary.int"] = _lines((self.phones[p], kind) for p, kind in kinds)
        texts["phones/wdisambig.txt"] = _lines([s] for s in self.word_disambig)
        texts["phones/wdisambig_phones.int"] = _lines([i] for i in ids(self.word_disambig))
        texts["phones/wdisambig_words.int"] = _lines([i] for i in self.words.encode(self.word_disambig))
        return {**texts, **self._align_texts()}

    def _question_text(self) -> str:
        """Questions by name; those about word position end in a space, as Kaldi writes them."""
        questions = self.inventory.extra_questions
        added = 9 if self.config.position_dependent_phones else 0
        given = len(questions) - added
        return _lines(questions[:given]) + "".join(" ".join(q) + " \n" for q in questions[given:])

    def _align_texts(self) -> dict[str, str]:
        """The align lexicon: `word word phone …`, sorted by its bytes, and optional silence under <eps>."""
        rows = {f"{e.word} {e.word} {' '.join(row)}": (e.word, row) for e, row in zip(self.lexicon.entries, self.marked)}
        silence = self.inventory.optional_silence
        rows[f"{EPSILON} {EPSILON} {silence}"] = (EPSILON, (silence,))
        ordered = sorted(rows)
        words, phones = (dict(zip(t.symbols, map(str, t.ids))) for t in (self.words, self.phones))
        numbered = []
        for line in ordered:
            word, row = rows[line]
            number = words[word]
            numbered.append(f"{number} {number} {' '.join([phones[p] for p in row])}\n")
        return {
            "phones/align_lexicon.txt": "".join(line + "\n" for line in ordered),
            "phones/align_lexicon.int": "".join(numbered),
        }


def _lines(rows: Iterable[Iterable[object]]) -> str:
    return "".join(" ".join(map(str, row)) + "\n" for row in rows)


def _phone_table(
    names: Sequence[str], disambig: Sequence[str], given: SymbolTable | None, marked: bool, nonsilence: set[str]
) -> SymbolTable:
    """Numbers the phones from 1 on, disambiguation symbols last; or as a given table numbers them."""
    if given is None:
        return SymbolTable((EPSILON, *names, *disambig))
    place = "phone table"
    first = given.get("#0")
    if first is None:
        raise InputError.at(place, "has no '#0'", "Hand over the phones.txt of the lang folder of the model.")
    missing = next((n for n in names if n not in given), None)
    if missing is not None:
        is_marked = any(f"{p}_B" in given for p in nonsilence)
        if is_marked != marked:
            state = "are" if is_marked else "are not"
            cure = f"Use --{'' if is_marked else 'no-'}position-dependent-phones."
            raise InputError.at(place, f"its phones {state} marked for word position", cure)
        cure = "Replace it in the dictionary; a model knows no phones but its own."
        raise InputError.at(place, f"lacks phone '{missing}' of the dictionary ({len(given)} symbols)", cure)
    pairs = sorted((given[n], n) for n in names)
    if pairs[-1][0] >= first:
        raise InputError.at(place, "has phones behind '#0'; wanted disambiguation symbols last", "Use another table.")
    ids = [0, *(i for i, _ in pairs), *range(first, first + len(disambig))]
    return SymbolTable((EPSILON, *(n for _, n in pairs), *disambig), ids)
