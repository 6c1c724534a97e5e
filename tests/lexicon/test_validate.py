"""lexicon.validate: the messages of a broken lang folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hybrid.formats.openfst import FstArrays, read_fst, write_fst
from lexicon.validate import check_lang_dir

Make = Callable[..., Path]


@pytest.mark.parametrize("options", [{}, {"position_dependent_phones": False}, {"silence_prob": 0.0}])
def test_prepared_folder_is_right(make_lang: Make, options: dict) -> None:
    assert check_lang_dir(make_lang(**options)) == []


@pytest.mark.peer
def test_kaldis_folders_are_right(peers: Path) -> None:
    for name in ("lang", "lang_nopos_prob"):
        assert check_lang_dir(peers / "lang_small" / name) == []


def edit(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))


# file, what is replaced, by what, message. Phones: SIL 1 SPN 2 AH 3 D 4 EY 5 IY 6 S 7 #0 8 #1 9 #2 10 #3 11.
MISTAKES = [
    ("words.txt", "A 3", "A 4", "words.txt:5: id 4 of 'SEA' already belongs to 'A'; wanted an id of its own"),
    ("words.txt", "<s> 9\n", "", "words.txt: lacks '<s>'; wanted it, for sentence ends in language-model rescoring"),
    ("phones/silence.txt", "SPN", "SPX", "silence.txt:2: 'SPX' is absent from phones.txt (12 symbols). Make the fol"),
    ("phones/silence.int", "2", "3", "silence.int:2: found '3'; wanted '2', the ids of line 2 of silence.txt. Make"),
    ("phones/silence.int", "2\n", "", "silence.int: has 1 lines; wanted 2 as in silence.txt"),
    ("phones/silence.csl", "1:2", "1 2", "silence.csl:1: found '1 2'; wanted '1:2', the ids of silence.int with"),
    ("phones/disambig.txt", "#3", "IY", "disambig.txt:4: phone 'IY' stands in nonsilence.txt too; wanted each phone"),
    ("phones/disambig.txt", "#3", "IY", "disambig.txt:4: found 'IY'; wanted a symbol that starts with '#'"),
    ("phones/disambig.txt", "#3\n", "", "phones.txt:12: phone '#3' is in none of silence.txt, nonsilence.txt, disamb"),
    ("phones/optional_silence.txt", "SIL", "AH", "optional_silence.txt: found 'AH'; wanted one of the phones of sil"),
    ("phones/nonsilence.txt", "AH\n", "AH\nAH\n", "nonsilence.txt:2: phone 'AH' stands twice; wanted each phone once"),
    ("phones/nonsilence.txt", "AH\n", "AH D\n", "nonsilence.txt:1: found 2 fields; wanted one phone a line"),
    ("phones/roots.txt", "shared split AH\n", "", "roots.txt: lacks phone 'AH'; wanted every silence and non-silence"),
    ("phones/roots.txt", "shared split AH", "shared spilt AH", "roots.txt:3: found 'shared spilt AH'; wanted 'shared|"),
    ("phones/sets.txt", "AH\n", "AH D\n", "sets.txt:4: phone 'D' stands in line 3 too; wanted each phone once"),
    ("phones/sets.txt", "AH\n", "AH #1\n", "sets.txt:3: '#1' is neither a silence nor a non-silence phone"),
    ("phones/extra_questions.int", "3 5 6", "3 5", "extra_questions.int:1: found '3 5'; wanted '3 5 6', the ids of"),
    ("phones/wdisambig_words.int", "8", "9", "wdisambig_words.int:1: found '9'; wanted '8', the id of '#0' in words"),
    ("phones/wdisambig_phones.int", "8\n", "8\n9\n", "wdisambig_phones.int: has 2 lines; wanted 1 as in wdisambig"),
    ("oov.txt", "<UNK>", "<OOV>", "oov.txt:1: '<OOV>' is absent from words.txt (11 symbols)"),
    ("oov.int", "2", "3", "oov.int:1: found '3'; wanted '2', the ids of line 1 of oov.txt"),
    ("topo", "3 4 5", "3 4", "topo: lacks phone 'EY'; wanted every silence and non-silence phone"),
    ("topo", "3 4 5", "3 4 5 77", "topo:4: phone id '77' is absent from phones.txt; wanted ids of phones"),
    ("topo", "3 4 5", "3 4 4 5", "topo:4: phone 'D' stands in line 4 too"),
    ("phones/align_lexicon.txt", "A A AH", "A A AX", "align_lexicon.txt:4: 'AX' is absent from phones.txt"),
    ("phones/align_lexicon.txt", "A A AH", "B B AH", "align_lexicon.txt:4: 'B' is absent from words.txt"),
    ("phones/align_lexicon.int", "3 3 3", "3 3 4", "align_lexicon.int:4: found '3 3 4'; wanted '3 3 3', the ids of"),
]  # fmt: skip


@pytest.mark.parametrize("file, old, new, message", MISTAKES)
def test_message_of_each_mistake(make_lang: Make, file: str, old: str, new: str, message: str) -> None:
    folder = make_lang(position_dependent_phones=False)
    edit(folder, file, old, new)
    told = [str(p) for p in check_lang_dir(folder)]
    assert any(message in line for line in told), told
    assert all(line.startswith(str(folder)) and "\n" not in line for line in told)


def test_message_of_wrong_word_boundaries(make_lang: Make) -> None:
    folder = make_lang()
    edit(folder, "phones/word_boundary.txt", "AH_B begin", "AH_B middle")
    edit(folder, "phones/word_boundary.txt", "AH_E end\n", "")
    told = "\n".join(map(str, check_lang_dir(folder)))
    assert "word_boundary.txt:11: found 'AH_B middle'; wanted a phone and one of begin, end" in told
    assert "word_boundary.txt: lacks phone 'AH_E'" in told


def test_missing_files_and_folders(make_lang: Make, tmp_path: Path) -> None:
    folder = make_lang()
    (folder / "topo").unlink()
    (folder / "phones" / "sets.int").unlink()
    told = "\n".join(map(str, check_lang_dir(folder)))
    assert "topo: the file does not exist" in told and "sets.int: the file does not exist" in told
    assert "is no folder; wanted a lang folder" in str(check_lang_dir(tmp_path / "no")[0])


def changed(fst: FstArrays, **arrays: np.ndarray) -> FstArrays:
    names = ("start", "row_splits", "ilabels", "olabels", "next_states", "costs", "final_costs")
    return FstArrays(**{**{n: getattr(fst, n) for n in names}, **arrays})


def test_messages_of_wrong_fsts(make_lang: Make) -> None:
    folder = make_lang(position_dependent_phones=False)
    plain, disambig = read_fst(folder / "L.fst"), read_fst(folder / "L_disambig.fst")

    def told() -> str:
        return "\n".join(map(str, check_lang_dir(folder)))

    write_fst(folder / "L.fst", changed(plain, ilabels=np.where(plain.ilabels == 3, 99, plain.ilabels)))
    assert "L.fst: 2 arcs have an input label that is in no table, the first 99; wanted ids of the 12 symbols" in told()
    write_fst(folder / "L.fst", changed(plain, olabels=plain.olabels[::-1]))
    assert "are not sorted by output label; wanted sorted arcs, which composition needs. Sort it: `fstarcsort" in told()
    write_fst(folder / "L.fst", changed(plain, olabels=np.where(plain.olabels == 7, 6, plain.olabels)))
    assert "L.fst: word 'SEEDS' of words.txt has no pronunciation here; wanted one for each word" in told()
    write_fst(folder / "L.fst", FstArrays.empty())
    assert "L.fst: is empty; wanted an FST that accepts something" in told()
    (folder / "L.fst").write_bytes((folder / "L_disambig.fst").read_bytes()[:100])
    assert "L.fst: is cut short" in told()
    write_fst(folder / "L.fst", disambig)
    assert "L.fst: has disambiguation symbols among its phones; wanted them in L_disambig.fst only" in told()
    write_fst(folder / "L.fst", plain)
    write_fst(folder / "L_disambig.fst", plain)
    assert "L_disambig.fst: 'SEA' and 'SEE' are both pronounced 'S IY'; wanted pronunciations of which none" in told()
    assert "L_disambig.fst: has no self-loop with '#0'; wanted one where words begin" in told()


def test_messages_of_a_wrong_grammar(make_lang: Make) -> None:
    folder = make_lang()
    one = np.asarray([0.0], np.float32)

    def grammar(*labels: int) -> None:
        arcs = np.asarray(labels)
        write_fst(folder / "G.fst", FstArrays.from_arcs(0, arcs * 0, arcs, arcs, arcs * 0, arcs * 0.0, one))

    grammar(3, 4)
    assert check_lang_dir(folder) == []
    grammar(3, 9)
    assert "G.fst: has arcs that read '<s>'; wanted none. Make it with `hybrid lm fst`" in str(
        check_lang_dir(folder)[0]
    )
    grammar(4, 3)
    assert "G.fst: the arcs of state 0 are not sorted by input label" in str(check_lang_dir(folder)[0])
    grammar(99)
    assert "G.fst: 1 arcs have an input label that is in no table, the first 99" in str(check_lang_dir(folder)[0])
