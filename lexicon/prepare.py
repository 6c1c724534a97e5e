"""Makes a lang folder from a dictionary folder; equal, file by file, to what Kaldi's prepare_lang.sh makes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import numpy as np

from hybrid.base.artifact import atomic_folder, write_meta
from hybrid.base.errors import InputError, quote
from hybrid.formats.openfst import FstArrays, write_fst
from lexicon.dict_dir import read_dict_dir
from lexicon.disambig import assign_disambig
from lexicon.lang_config import LangConfig
from lexicon.lexicon import Lexicon, Pronunciation
from lexicon.lexicon_fst import PronunciationArrays, add_disambig_loops, lexicon_fst, lexicon_fst_with_silence_probs
from lexicon.phones import POSITIONS, PhoneInventory, PhoneSet
from lexicon.symbols import EPSILON, SymbolTable
from lexicon.text import read_lines
from lexicon.words.config import TextConfig
from lexicon.words.phone_fit import absent_phones, base_phones, lacking_phones

__all__ = ["LangConfig", "prepare_lang"]

MakeTopo = Callable[[list[int], list[int]], str]


def prepare_lang(
    dict_dir: str | os.PathLike,
    oov: str,
    out_dir: str | os.PathLike,
    make_topo: MakeTopo,
    config: LangConfig | None = None,
    phones: SymbolTable | None = None,
    text: TextConfig | None = None,
) -> None:
    """Makes a lang folder, whole or not at all.

    Args:
      dict_dir: the dictionary folder; read once, checked, not changed.
      oov: the word of the lexicon that stands for words outside it.
      make_topo: (non-silence phone ids, silence phone ids) → text of `topo`.
      phones: phone table of an existing model, whose ids the phones then keep (a new dictionary for an
        old model). Disambiguation symbols are numbered from its `#0` on.
      text: how texts become words of this lexicon.

    Raises:
      InputError: a mistake in the dictionary folder (all are checked), an OOV word or a phone table that
        do not fit it.
    """
    config = config or LangConfig()
    phone_set, lexicon = read_dict_dir(dict_dir)
    if oov not in lexicon:
        cure = f"Add a line such as '{oov} {phone_set.silence_phones[-1]}', or name another word."
        raise InputError.at(
            dict_dir, f"the lexicon lacks '{quote(oov)}'; wanted a word that stands for unknown words", cure
        )
    inventory = phone_set.inventory(config.position_dependent_phones, config.share_silence_phones)
    if not config.position_dependent_phones:
        inventory = _with_given_boundaries(inventory, Path(dict_dir) / "word_boundary.txt")
    _Lang(lexicon, phone_set, inventory, config, phones).write(out_dir, dict_dir, oov, make_topo, text or TextConfig())


def _with_given_boundaries(inventory: PhoneInventory, file: Path) -> PhoneInventory:
    """Takes word boundaries from the dictionary folder, for phones that were marked by someone else."""
    if not file.exists():
        return inventory
    kinds: dict[str, str] = {}
    known = {*inventory.silence, *inventory.nonsilence}
    for number, line in enumerate(read_lines(file), 1):
        fields = line.split()
        if len(fields) != 2 or fields[0] not in known:
            message = f"found '{quote(line.strip(), 60)}'; wanted one of the {len(known)} phones and its kind"
            raise InputError.at(file, message, "Correct the line.", number)
        kinds[fields[0]] = fields[1]
    if missing := sorted(known - set(kinds)):
        raise InputError.at(file, f"lacks phone '{quote(missing[0])}'; wanted every phone", "Add it.")
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
        names = [*inventory.silence, *inventory.nonsilence]
        self.splits, self.indexes = _phone_indexes(lexicon, phone_set, names, marked)
        flat = [names[i] for i in self.indexes.tolist()]
        self.texts = [" ".join(flat[a:b]) for a, b in zip(self.splits.tolist(), self.splits[1:].tolist())]
        self.numbers = assign_disambig(self.texts)
        self.silence_symbol = f"#{max(self.numbers) + config.extra_phone_disambig}"
        count = max(self.numbers) + config.extra_phone_disambig + 1
        self.word_disambig = ["#0", *config.extra_word_disambig]
        self.disambig = [*(f"#{i}" for i in range(count)), *config.extra_word_disambig]
        self.phones = _phone_table(
            names, self.disambig, phones, marked, set(phone_set.nonsilence_phones), lexicon.entries
        )
        self.words = SymbolTable((EPSILON, *lexicon.words, "#0", "<s>", "</s>", *config.extra_word_disambig))

    def write(
        self, out_dir: str | os.PathLike, dict_dir: str | os.PathLike, oov: str, make_topo: MakeTopo, text: TextConfig
    ) -> None:
        """Writes the files of the lang folder."""
        ids = self.phones.encode
        topo = make_topo(ids(self.inventory.nonsilence), ids(self.inventory.silence))
        plain, with_disambig = self.fst(False), self.fst(True)
        with atomic_folder(out_dir, "lang", [dict_dir]) as folder:
            (folder / "phones").mkdir()
            self.words.write(folder / "words.txt")
            self.phones.write(folder / "phones.txt")
            for name, lines in self._texts(oov, topo).items():
                (folder / name).write_text(lines, encoding="utf-8", newline="\n")
            text.write(folder)
            write_fst(folder / "L.fst", plain)
            write_fst(folder / "L_disambig.fst", with_disambig)
            facts = {"words": len(self.lexicon.words), "pronunciations": len(self.lexicon), "phones": len(self.phones)}
            settings = {**asdict(self.config), "oov": oov}
            write_meta(folder, "lang", settings, {"dict": str(dict_dir)}, facts)

    def fst(self, disambig: bool) -> FstArrays:
        """Builds L or, with disambiguation symbols, L_disambig."""
        prons = self._pronunciations(disambig)
        phone = self.phones[self.inventory.optional_silence]
        after = self.phones[self.silence_symbol] if disambig else None
        probs = self.lexicon.silence_probs
        if probs is not None:
            fst = lexicon_fst_with_silence_probs(prons, probs, phone, after)
        else:
            fst = lexicon_fst(prons, self.config.silence_prob, phone, after)
        if not disambig:
            return fst
        return add_disambig_loops(fst, self.phones.encode(self.word_disambig), self.words.encode(self.word_disambig))

    def _pronunciations(self, disambig: bool) -> PronunciationArrays:
        """Returns the pronunciations by ids, each with its disambiguation symbol if wanted."""
        entries, table = self.lexicon.entries, self.phones
        names = [*self.inventory.silence, *self.inventory.nonsilence]
        phone_ids = np.asarray(table.encode(names), np.int32)[self.indexes]
        splits, numbers = self.splits, np.asarray(self.numbers)
        if disambig:
            symbols = np.asarray(table.encode(self.disambig), np.int32)
            phone_ids = np.insert(phone_ids, splits[1:][numbers > 0], symbols[numbers[numbers > 0]])
            splits = splits + np.concatenate([[0], np.cumsum(numbers > 0)])
        word_ids = np.asarray(self.words.encode(e.word for e in entries), np.int32)
        log_probs = np.log(np.asarray([e.probability for e in entries]))
        silence = None
        if self.lexicon.silence_probs is not None:
            silence = np.asarray([e.silence for e in entries], np.float64)
        return PronunciationArrays(word_ids, splits, phone_ids, log_probs, silence)

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
        rows = [(e.word, text) for e, text in zip(self.lexicon.entries, self.texts)]
        rows.append((EPSILON, self.inventory.optional_silence))
        lines = {f"{word} {word} {text}\n": (word, text) for word, text in rows}
        ordered = sorted(lines)
        words, phones = (dict(zip(t.symbols, map(str, t.ids))) for t in (self.words, self.phones))
        numbered = []
        for line in ordered:
            word, text = lines[line]
            number = words[word]
            numbered.append(f"{number} {number} {' '.join(map(phones.__getitem__, text.split()))}\n")
        return {
            "phones/align_lexicon.txt": "".join(ordered),
            "phones/align_lexicon.int": "".join(numbered),
        }


def _phone_indexes(
    lexicon: Lexicon, phone_set: PhoneSet, names: Sequence[str], marked: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the phones of all pronunciations in the inventory.

    Returns:
      int64 [pronunciation + 1], rows; and int64 [phone], indexes into `names`, marked for word position
      (begin, end, internal, singleton) if asked.
    """
    lengths = np.fromiter((len(e.phones) for e in lexicon.entries), np.int64, len(lexicon))
    splits = np.concatenate([[0], np.cumsum(lengths)])
    base = {p: i for i, p in enumerate((*phone_set.silence_phones, *phone_set.nonsilence_phones))}
    flat = chain.from_iterable(e.phones for e in lexicon.entries)
    phones = np.fromiter(map(base.__getitem__, flat), np.int64, int(splits[-1]))
    if not marked:
        return splits, phones
    index = {name: i for i, name in enumerate(names)}
    forms = np.asarray([[index[p + suffix] for suffix in POSITIONS] for p in base])
    begins, ends = splits[:-1], splits[1:] - 1
    position = np.full(len(phones), list(POSITIONS).index("_I"))
    position[begins], position[ends] = list(POSITIONS).index("_B"), list(POSITIONS).index("_E")
    position[begins[lengths == 1]] = list(POSITIONS).index("_S")
    return splits, forms[phones, position]


def _lines(rows: Iterable[Iterable[object]]) -> str:
    return "".join(" ".join(map(str, row)) + "\n" for row in rows)


def _phone_table(
    names: Sequence[str],
    disambig: Sequence[str],
    given: SymbolTable | None,
    marked: bool,
    nonsilence: set[str],
    entries: Iterable[Pronunciation],
) -> SymbolTable:
    """Numbers the phones from 1 on, disambiguation symbols last; or as a given table numbers them."""
    if given is None:
        return SymbolTable((EPSILON, *names, *disambig))
    place = "phone table"
    first = given.get("#0")
    if first is None:
        raise InputError.at(place, "has no '#0'", "Hand over the phones.txt of the lang folder of the model.")
    if any(name not in given for name in names):
        is_marked = any(f"{p}_B" in given for p in nonsilence)
        if is_marked != marked:
            state = "are" if is_marked else "are not"
            cure = f"Use --{'' if is_marked else 'no-'}position-dependent-phones."
            raise InputError.at(place, f"its phones {state} marked for word position", cure)
        known = base_phones(given, marked)
        raise absent_phones(place, lacking_phones(((e.word, e.phones) for e in entries), known), known)
    pairs = sorted((given[n], n) for n in names)
    if pairs[-1][0] >= first:
        raise InputError.at(place, "has phones behind '#0'; wanted disambiguation symbols last", "Use another table.")
    ids = [0, *(i for i, _ in pairs), *range(first, first + len(disambig))]
    return SymbolTable((EPSILON, *(n for _, n in pairs), *disambig), ids)
