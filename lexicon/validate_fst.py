"""Checks L.fst, L_disambig.fst and G.fst of a lang folder against its symbol tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hybrid.base.errors import HybridError, quote
from hybrid.base.reading import read_text
from hybrid.formats.openfst import FstArrays, read_fst
from lexicon.disambig import find_clashes
from lexicon.lexicon_fst import word_pronunciations
from lexicon.symbols import SymbolTable
from lexicon.text import Problem

__all__ = ["check_fsts"]

AGAIN = "Make the folder again with `hybrid lang prepare`."
SHOWN = 20


def check_fsts(folder: Path, words: SymbolTable, phones: SymbolTable) -> list[Problem]:
    """Checks the FSTs of a lang folder whose text files are right.

    Labels must be in the tables, arcs sorted for composition, every word reachable, L free of
    disambiguation symbols, and L_disambig such that no two words sound alike.
    """
    problems: list[Problem] = []
    for name in ("L.fst", "L_disambig.fst", "G.fst"):
        if name == "G.fst" and not (folder / name).exists():
            continue
        fst = _read(folder / name, problems)
        if fst is None:
            continue
        tables = (words, words) if name == "G.fst" else (phones, words)
        wrong = _labels(folder / name, fst, *tables) + _sorted(folder / name, fst, by_output=name != "G.fst")
        problems += wrong
        if not wrong and name != "G.fst":
            problems += _pronunciations(folder, name, fst, words, phones)
        if not wrong and name == "G.fst":
            problems += _grammar(folder / name, fst, words)
    return problems


def _read(file: Path, problems: list[Problem]) -> FstArrays | None:
    try:
        fst = read_fst(file)
    except HybridError as error:
        problems.append(Problem(file, None, str(error).removeprefix(f"{file}: ").split(". ")[0], "an FST", AGAIN))
        return None
    if fst.num_states == 0:
        problems.append(Problem(file, None, "is empty", "an FST that accepts something", AGAIN))
        return None
    return fst


def _labels(file: Path, fst: FstArrays, inputs: SymbolTable, outputs: SymbolTable) -> list[Problem]:
    problems = []
    for kind, labels, table in (("input", fst.ilabels, inputs), ("output", fst.olabels, outputs)):
        bad = np.flatnonzero(~np.isin(labels, np.asarray(table.ids)))
        if len(bad):
            found = f"{len(bad)} arcs have an {kind} label that is in no table, the first {int(labels[bad[0]])}"
            problems.append(Problem(file, None, found, f"ids of the {len(table)} symbols", AGAIN))
    return problems


def _sorted(file: Path, fst: FstArrays, by_output: bool) -> list[Problem]:
    labels, kind = (fst.olabels, "output") if by_output else (fst.ilabels, "input")
    falls = np.diff(labels.astype(np.int64)) < 0
    falls &= np.diff(fst.sources()) == 0
    if not falls.any():
        return []
    state = int(fst.sources()[np.flatnonzero(falls)[0]])
    found = f"the arcs of state {state} are not sorted by {kind} label"
    cure = f"Sort it: `fstarcsort --sort_type={'o' if by_output else 'i'}label`, or make the folder again."
    return [Problem(file, None, found, "sorted arcs, which composition needs", cure)]


def _pronunciations(folder: Path, name: str, fst: FstArrays, words: SymbolTable, phones: SymbolTable) -> list[Problem]:
    """Checks that every word has a pronunciation and that L_disambig tells them apart."""
    file = folder / name
    symbols = [w for w in ("#0", "<s>", "</s>") if w in words]
    others = {w for w in words.symbols if w.startswith("#nonterm")}
    extra = folder / "phones/wdisambig.txt"
    if extra.exists():
        others |= set(read_text(extra).split())
    not_words = [words[w] for w in {*symbols, *others} if w in words]
    silence = phones[read_text(folder / "phones/optional_silence.txt").strip()]
    pairs = word_pronunciations(fst, silence, not_words)
    spoken = {w for w, _ in pairs}
    problems = []
    missing = [w for w, i in zip(words.symbols[1:], words.ids[1:]) if i not in spoken and i not in not_words]
    for word in missing[:SHOWN]:
        found = f"word '{quote(word)}' of words.txt has no pronunciation here"
        problems.append(Problem(file, None, found, "one for each word", AGAIN))
    label_of = dict(zip(phones.ids, phones.symbols))
    is_disambig = np.asarray([i for i, s in label_of.items() if s.startswith("#")], np.int32)
    if name == "L.fst" and np.isin(fst.ilabels, is_disambig).any():
        found = "has disambiguation symbols among its phones"
        problems.append(Problem(file, None, found, "them in L_disambig.fst only", AGAIN, "warning"))
    if name == "L_disambig.fst":
        entries = [(words.symbol(w), tuple(label_of[p] for p in row)) for w, row in pairs]
        for clash in find_clashes(entries, SHOWN):
            cure = "Give one of them a disambiguation symbol: make the folder again with `hybrid lang prepare`."
            problems.append(Problem(file, None, str(clash), "pronunciations of which none begins another", cure))
        if "#0" in words and "#0" in phones:
            loops = (fst.ilabels == phones["#0"]) & (fst.olabels == words["#0"])
            if not loops.any():
                found = "has no self-loop with '#0'"
                problems.append(Problem(file, None, found, "one where words begin, for G's back-off arcs", AGAIN))
    return problems


def _grammar(file: Path, fst: FstArrays, words: SymbolTable) -> list[Problem]:
    problems = []
    for symbol in ("<s>", "</s>"):
        if symbol in words and (fst.ilabels == words[symbol]).any():
            cure = "Make it with `hybrid lm fst`, which turns sentence ends into the start state and final weights."
            problems.append(Problem(file, None, f"has arcs that read '{quote(symbol)}'", "none", cure))
    return problems
