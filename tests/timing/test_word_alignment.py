"""Words found among the phones of an alignment, by marks and by names; beside Kaldi's."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hybrid.lattice.archive import read_lattices
from hybrid.lattice.paths import best_path
from hybrid.timing.segments import Segment
from hybrid.timing.word_alignment import LexiconWordAlignment, MarkWordAlignment, find_word_alignment

BOUNDARY = {1: "nonword", 2: "begin", 3: "internal", 4: "end", 5: "singleton"}


def segments(*labels: int) -> list[Segment]:
    return [Segment(label, 2 * i, 2) for i, label in enumerate(labels)]


def test_marks_by_hand() -> None:
    words = MarkWordAlignment(BOUNDARY).words(segments(1, 2, 3, 4, 5, 1), [7, 8])
    assert [(w.label, w.start, w.length) for w in words] == [(0, 0, 2), (7, 2, 6), (8, 8, 2), (0, 10, 2)]
    cut_off = MarkWordAlignment(BOUNDARY).words(segments(5, 2, 3), [7, 8])
    assert [(w.label, w.start, w.length) for w in cut_off] == [(7, 0, 2), (8, 2, 4)]


@pytest.mark.parametrize(
    ("labels", "words", "message"),
    [
        ((2, 5), [7], "wrong place"), ((3,), [7], "wrong place"), ((5, 5), [7], "more words among the phones"),
        ((5,), [7, 8], "1 words have no phones"),
    ],
)  # fmt: skip
def test_marks_that_do_not_fit(labels: tuple[int, ...], words: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MarkWordAlignment(BOUNDARY).words(segments(*labels), words)


def test_words_are_known_otherwise_as_often_as_wanted() -> None:
    """A session that takes a list for each caller: it ended, some 500 lists on, in a RecursionError."""
    alignment = LexiconWordAlignment([(0, 0, 1), (5, 5, 2, 3)])
    for caller in range(1200):
        alignment = alignment.with_words([(6 + caller % 2, 6 + caller % 2, 4 + caller)])
    found = alignment.words(segments(2, 3, 1202, 1, 1203), [5, 6, 7])
    assert [one.label for one in found] == [5, 6, 0, 7]


def test_names_of_phones_tell_their_position(tmp_path: Path) -> None:
    from lexicon.symbols import SymbolTable

    (tmp_path / "phones.txt").write_text("<eps> 0\nSIL 1\nAH_B 2\nAH_E 3\nAH_I 4\nAH_S 5\n")
    word_alignment = find_word_alignment(tmp_path, None, SymbolTable.read(tmp_path / "phones.txt"))
    assert word_alignment is not None and [w.label for w in word_alignment.words(segments(1, 5), [9])] == [0, 9]
    (tmp_path / "plain.txt").write_text("<eps> 0\nSIL 1\nAH 2\n")
    assert find_word_alignment(tmp_path, None, SymbolTable.read(tmp_path / "plain.txt")) is None


@pytest.mark.peer
def test_word_times_equal_kaldis(peers: Path) -> None:
    """best.ctm.int: the best paths of ten real lattices, words aligned by Kaldi."""
    folder = peers / "lattices"
    rows = [
        line.split() for line in gzip.decompress((folder / "transitions.txt.gz").read_bytes()).decode().splitlines()
    ]
    phone_of = {int(r[0]): r[1] for r in rows}
    state_of = {int(r[0]): int(r[2]) for r in rows}
    loop = {int(r[0]): r[4] == "1" for r in rows}
    last = {phone: max(state_of[t] for t in phone_of if phone_of[t] == phone) for phone in set(phone_of.values())}
    kinds = dict(line.split() for line in (folder / "word_boundary.txt").read_text().splitlines())
    names = sorted(kinds)
    word_alignment = MarkWordAlignment({i: kinds[name] for i, name in enumerate(names)})
    lines = []
    for utterance, lattice in read_lattices(folder / "clat.ark.gz"):
        path = best_path(lattice, 0.0714286)
        assert path is not None
        ids = path.transition_ids.tolist()
        enters = [i for i, t in enumerate(ids) if not loop[t]]
        begins = [0] + [b for a, b in zip(enters, enters[1:]) if state_of[ids[a]] == last[phone_of[ids[a]]]]
        ends = [*begins[1:], len(ids)]
        phones = [Segment(names.index(phone_of[ids[b]]), b, e - b) for b, e in zip(begins, ends)]
        assert sum(p.length for p in phones) == lattice.num_frames
        for word in word_alignment.words(phones, path.word_ids.tolist()):
            if word.label:
                lines.append(f"{utterance} 1 {word.start / 100:.3f} {word.length / 100:.3f} {word.label}")
    assert lines == (folder / "best.ctm.int").read_text().splitlines()
    assert np.isfinite(len(lines))
