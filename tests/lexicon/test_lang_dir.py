"""lexicon.lang_dir: loading lang folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hybrid.base.errors import InputError, MismatchError
from hybrid.formats.openfst import from_kaldifst, write_fst
from lexicon.disambig import Clash
from lexicon.lang_dir import LangDir, RootSet
from lexicon.lexicon_fst import PronunciationArrays, lexicon_fst

Make = Callable[..., Path]


def test_attributes_by_hand(make_lang: Make) -> None:
    lang = LangDir.load(make_lang(position_dependent_phones=False))
    assert (lang.oov_word, lang.oov_id, lang.optional_silence) == ("<UNK>", 2, 1)
    assert (lang.silence_phones, lang.nonsilence_phones, lang.context_indep_phones) == ([1, 2], [3, 4, 5, 6, 7], [1, 2])
    assert (lang.disambig_phones, lang.word_disambig, lang.word_disambig_phones) == ([8, 9, 10, 11], [8], [8])
    assert lang.word_boundary is None
    assert lang.sets == [(1,), (2,), (3,), (4,), (5,), (6,), (7,)]
    assert lang.roots[0] == RootSet(True, True, (1,))
    assert lang.extra_questions == [(3, 5, 6)]
    assert lang.align_lexicon[2] == (0, 0, 1)
    assert lang.topo_path.read_text().startswith("<Topology>")


def test_text_becomes_ids_and_unknown_words_the_oov_word(make_lang: Make) -> None:
    lang = LangDir.load(make_lang())
    ids = lang.text_to_ids(["SEE", "NOTHING", "A", "<s>", "#0", "<eps>"])
    assert [lang.words.symbol(i) for i in ids] == ["SEE", "<UNK>", "A", "<UNK>", "<UNK>", "<UNK>"]
    assert lang.text_to_ids([]) == []


def test_word_boundary_and_shared_roots(make_lang: Make) -> None:
    lang = LangDir.load(make_lang(share_silence_phones=True))
    assert lang.word_boundary is not None
    assert {lang.word_boundary[lang.phones[p]] for p in ("SIL", "S_B", "S_E", "S_I", "S_S")} == {
        "nonword", "begin", "end", "internal", "singleton",
    }  # fmt: skip
    assert lang.roots[0] == RootSet(False, False, tuple(lang.silence_phones))


def test_fsts_are_those_on_disk(make_lang: Make) -> None:
    lang = LangDir.load(make_lang())
    assert from_kaldifst(lang.L()).equals(lang.L_arrays())
    assert from_kaldifst(lang.L_disambig()).equals(lang.L_arrays(disambig=True))


@pytest.mark.peer
def test_kaldis_folder_is_read(peers: Path) -> None:
    lang = LangDir.load(peers / "lang_small" / "lang")
    assert len(lang.words) == 295 and len(lang.nonsilence_phones) == 148
    said = {(w, tuple(p.rsplit("_", 1)[0] for p in phones)) for w, phones in lang.pronunciations()}
    lines = (peers / "lang_small" / "dict" / "lexicon.txt").read_text().splitlines()
    assert said == {(w, tuple(p)) for w, *p in map(str.split, lines)}
    assert lang.find_clashes() == []


def test_folders_of_older_kaldi_without_wdisambig(make_lang: Make, forget_files) -> None:
    folder = make_lang()
    forget_files(folder)
    for file in folder.glob("phones/wdisambig*"):
        file.unlink()
    lang = LangDir.load(folder)
    assert (lang.words.symbol(lang.word_disambig[0]), lang.phones.symbol(lang.word_disambig_phones[0])) == ("#0", "#0")


def test_clashing_words_are_named(make_lang: Make, forget_files) -> None:
    folder = make_lang(position_dependent_phones=False)
    forget_files(folder)
    lang = LangDir.load(folder)
    assert lang.find_clashes() == []
    pairs = [(lang.words[w], [lang.phones[p] for p in phones]) for w, phones in lang.pronunciations()]
    splits = [0]
    for _, phones in pairs:
        splits.append(splits[-1] + len(phones))
    import numpy as np

    prons = PronunciationArrays(
        np.asarray([w for w, _ in pairs]), np.asarray(splits), np.asarray(sum((p for _, p in pairs), [])),
        np.zeros(len(pairs)),
    )  # fmt: skip
    write_fst(folder / "L_disambig.fst", lexicon_fst(prons, 0.5, lang.optional_silence))
    clashes = LangDir.load(folder).find_clashes()
    assert Clash("same", "SEA", "SEE", ("S", "IY")) in clashes
    assert Clash("begins", "SEE", "SEED", ("S", "IY")) in clashes
    assert Clash("begins", "SEED", "SEEDS", ("S", "IY", "D")) in clashes
    # SEA begins SEEDS too; that shows once the words between them in the order are left out.
    assert LangDir.load(folder).find_clashes(words={"SEA", "SEEDS"}) == [Clash("begins", "SEA", "SEEDS", ("S", "IY"))]


@pytest.mark.parametrize(
    "file, text, message",
    [
        ("words.txt", None, "words.txt: the file does not exist"),
        ("phones.txt", "<eps> 0\nA 0\n", "phones.txt:2: id 0 of 'A' already belongs to '<eps>'"),
        ("oov.txt", "WHAT\n", "oov.txt:1: 'WHAT' is not in words.txt. Make the folder again"),
        ("phones/silence.int", "1\n77777\n", "silence.int:2: phone id 77777 is absent from phones.txt"),
        ("phones/silence.int", "1\nx\n", "silence.int:2: found 'x'; wanted phone ids"),
        ("phones/nonsilence.int", "", "nonsilence.int: the file is empty"),
        ("phones/optional_silence.int", "1\n2\n", "optional_silence.int: holds 2 phones; wanted one"),
        ("phones/roots.int", "shared 1 2\n", "roots.int:1: found 'shared 1 2'; wanted 'shared|not-shared"),
        ("phones/roots.int", "shared split\n", "roots.int:1: found 'shared split'; wanted"),
        ("phones/roots.int", "shared\n", "roots.int:1: found 'shared'; wanted"),
        ("phones/roots.int", "shared split 777\n", "roots.int:1: a phone id is absent from phones.txt"),
        (
            "phones/word_boundary.int",
            "1 middle\n",
            "word_boundary.int:1: found '1 middle'; wanted a phone id and one of",
        ),
        ("phones/word_boundary.int", "777 begin\n", "word_boundary.int:1: phone id 777 is absent from phones.txt"),
    ],
)
def test_message_of_a_broken_folder(make_lang: Make, forget_files, file: str, text: str | None, message: str) -> None:
    folder = make_lang()
    forget_files(folder)
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    with pytest.raises(InputError) as caught:
        LangDir.load(folder)
    assert message in str(caught.value)


@pytest.mark.parametrize("file", ["words.txt", "phones.txt", "topo", "phones/word_boundary.int", "L.fst"])
def test_a_changed_file_is_refused(make_lang: Make, file: str) -> None:
    folder = make_lang()
    LangDir.load(folder).L_arrays()
    found = bytearray((folder / file).read_bytes())
    place = len(found) // 2
    found[place] ^= 1
    (folder / file).write_bytes(found)
    with pytest.raises(MismatchError, match=f"{file}: was changed or damaged: found hash .* records .* Copy or make"):
        LangDir.load(folder).L_arrays()


def test_message_of_a_broken_align_lexicon_and_fst(make_lang: Make, tmp_path: Path, forget_files) -> None:
    folder = make_lang()
    forget_files(folder)
    (folder / "phones/align_lexicon.int").write_text("1 1 1\n1 x 2\n")
    (folder / "L.fst").write_bytes(b"no fst")
    lang = LangDir.load(folder)
    with pytest.raises(InputError, match=r"align_lexicon\.int:2: found '1 x 2'; wanted 'word-id word-id phone-id"):
        lang.align_lexicon
    with pytest.raises(InputError, match=r"L\.fst: is no OpenFst binary file"):
        lang.L()
    with pytest.raises(InputError, match=r"is no folder; wanted a lang folder\. Make it with `hybrid lang prepare`"):
        LangDir.load(tmp_path / "nothing")


@pytest.mark.real
@pytest.mark.slow
def test_scale_of_cmudict(corpora: Path, tmp_path: Path, make_topo: Callable) -> None:
    from lexicon.cmudict import CmudictConfig, dictionary_from, read_cmudict
    from lexicon.dict_dir import write_dict_dir
    from lexicon.prepare import prepare_lang

    phones, lexicon, missing = dictionary_from(read_cmudict(corpora / "cmudict" / "cmudict.dict"), CmudictConfig())
    write_dict_dir(tmp_path / "dict", phones, lexicon)
    prepare_lang(tmp_path / "dict", "<UNK>", tmp_path / "lang", make_topo)
    lang = LangDir.load(tmp_path / "lang")
    assert not missing and len(lang.words) == 126054 + 4
    assert lang.find_clashes() == []


def test_a_graph_and_any_folder_are_no_lang_folders(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"is no lang folder \(it has no oov.txt\). Make one with `hybrid lang prepare`."
    ):
        LangDir.load(tmp_path)
    (tmp_path / "HCLG.fst").write_bytes(b"")
    with pytest.raises(InputError, match="is a decoding graph; wanted a lang folder. Give the lang folder that it was"):
        LangDir.load(tmp_path)
