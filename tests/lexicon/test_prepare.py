"""lexicon.prepare: lang folders, against hand-worked files, Kaldi's files and Kaldi's own script."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.artifact import read_meta
from hybrid.base.errors import InputError
from hybrid.formats.openfst import FstArrays, read_fst
from hybrid.hmm.topology import HmmTopology
from lexicon.lang_config import LangConfig
from lexicon.lang_dir import LangDir
from lexicon.prepare import prepare_lang
from lexicon.symbols import SymbolTable

Make = Callable[..., Path]


def kaldi_topo(nonsilence: list[int], silence: list[int]) -> str:
    return HmmTopology.kaldi_default(nonsilence, silence).to_text()


def canonical(fst: FstArrays) -> list[np.ndarray]:
    """Arcs in an order of their own: Kaldi's sort by output label leaves the order of equal labels open."""
    order = np.lexsort((fst.costs, fst.next_states, fst.ilabels, fst.olabels, fst.sources()))
    arcs = (fst.sources(), fst.ilabels, fst.olabels, fst.next_states, fst.costs)
    return [fst.final_costs, *(a[order] for a in arcs)]


def assert_same_lang(mine: Path, kaldis: Path) -> None:
    """Every file equal to the byte; FSTs the same states and arcs with the same weights."""
    names = sorted(str(p.relative_to(kaldis)) for p in kaldis.rglob("*") if p.is_file())
    names = [n for n in names if not n.endswith(".fst.txt")]
    assert sorted(str(p.relative_to(mine)) for p in mine.rglob("*") if p.is_file()) == sorted(
        [*names, "meta.json", "text.yaml"]
    )
    for name in names:
        if name.endswith(".fst"):
            a, b = read_fst(mine / name), read_fst(kaldis / name)
            assert a.start == b.start
            assert all(np.array_equal(x, y) for x, y in zip(canonical(a), canonical(b))), name
        else:
            assert (mine / name).read_bytes() == (kaldis / name).read_bytes(), name


@pytest.mark.peer
@pytest.mark.parametrize(
    "source, lang, options",
    [
        ("dict", "lang", {}),
        ("dictp", "lang_nopos_prob", {"position_dependent_phones": False, "silence_prob": 0.3}),
    ],
)
def test_equals_kaldis_files(peers: Path, tmp_path: Path, source: str, lang: str, options: dict) -> None:
    folder = peers / "lang_small"
    prepare_lang(folder / source, "<UNK>", tmp_path / "lang", kaldi_topo, LangConfig(**options))
    assert_same_lang(tmp_path / "lang", folder / lang)


@pytest.fixture
def kaldi_utils(kaldi_bin: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs one of Kaldi's utils/ in a folder of its own."""
    utils = kaldi_bin.parent / "egs" / "wsj" / "s5" / "utils"
    if not utils.exists():
        pytest.skip(f"Kaldi's scripts not found at {utils}")
    work = tmp_path / "kaldi"
    work.mkdir()
    (work / "utils").symlink_to(utils)
    (work / "path.sh").write_text("")

    def run(*command: object) -> subprocess.CompletedProcess:
        env = {**os.environ, "LC_ALL": "C", "PATH": f"{kaldi_bin}:{utils}:{os.environ['PATH']}"}
        return subprocess.run(list(map(str, command)), cwd=work, env=env, capture_output=True, text=True)

    return run


SILPROB = {
    "lexiconp_silprob.txt": "<UNK> 1.0 0.2 1.0 1.0 SPN\n!SIL 1.0 0.5 1.1 0.9 SIL\n"
    "A 1.0 0.1 0.7 1.2 AH\nA 0.4 0.3 1.4 0.8 EY\n"
    "SEA 1.0 0.25 1.0 1.0 S IY\nSEE 1.0 0.35 0.9 1.3 S IY\nSEED 1.0 0.45 1.0 1.0 S IY D\n"
    "SEEDS 1.0 0.6 1.2 0.8 S IY D S\n",
    "silprob.txt": "<s> 0.93\n</s>_s 2.5\n</s>_n 0.07\noverall 0.2\n",
    "lexiconp.txt": "<UNK> 1.0 SPN\n!SIL 1.0 SIL\nA 1.0 AH\nA 0.4 EY\nSEA 1.0 S IY\nSEE 1.0 S IY\nSEED 1.0 S IY D\n"
    "SEEDS 1.0 S IY D S\n",
}  # fmt: skip


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.parametrize(
    "changes, options, flags",
    [
        (
            {},
            {"share_silence_phones": True, "silence_prob": 0.0},
            ["--share-silence-phones", "true", "--sil-prob", "0.0"],
        ),
        (SILPROB, {}, []),
        (SILPROB, {"position_dependent_phones": False}, ["--position-dependent-phones", "false"]),
        (
            {"nonsilence_phones.txt": "AH\nD\nEY IY\nS\n", "extra_questions.txt": "AH EY\nD S\n"},
            {"extra_phone_disambig": 3, "extra_word_disambig": ("#x", "#yy")},
            ["--num-extra-phone-disambig-syms", "3", "--extra-word-disambig-syms", "EXTRA"],
        ),
    ],
)
def test_equals_kaldis_own_script(
    kaldi_utils: Callable, make_dict: Make, tmp_path: Path, changes: dict, options: dict, flags: list[str]
) -> None:
    source = make_dict(changes)
    prepare_lang(source, "<UNK>", tmp_path / "mine", kaldi_topo, LangConfig(**options))
    (tmp_path / "extra").write_text("#x\n#yy\n")
    flags = [str(tmp_path / "extra") if f == "EXTRA" else f for f in flags]
    done = kaldi_utils("utils/prepare_lang.sh", *flags, source, "<UNK>", tmp_path / "tmp", tmp_path / "theirs")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert_same_lang(tmp_path / "mine", tmp_path / "theirs")


@pytest.mark.peer
@pytest.mark.slow
def test_equals_kaldis_own_script_with_the_phones_of_another_model(
    kaldi_utils: Callable, make_dict: Make, make_lang: Make, tmp_path: Path
) -> None:
    table = make_lang() / "phones.txt"
    smaller = {
        "lexicon.txt": "<UNK> SPN\nIS IY S\nICE IY S\n",
        "nonsilence_phones.txt": "IY\nS\n",
        "extra_questions.txt": "",
    }
    source = make_dict(smaller)
    prepare_lang(source, "<UNK>", tmp_path / "mine", kaldi_topo, phones=SymbolTable.read(table))
    done = kaldi_utils(
        "utils/prepare_lang.sh", "--phone-symbol-table", table, source, "<UNK>", tmp_path / "tmp", tmp_path / "theirs"
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert_same_lang(tmp_path / "mine", tmp_path / "theirs")


@pytest.mark.peer
@pytest.mark.parametrize("marked", [True, False])
def test_kaldi_accepts_the_folder(kaldi_utils: Callable, make_lang: Make, marked: bool) -> None:
    done = kaldi_utils("utils/validate_lang.pl", make_lang(position_dependent_phones=marked))
    assert done.returncode == 0, done.stdout[-3000:]
    assert "SUCCESS [validating lang directory" in done.stdout


@pytest.mark.peer
@pytest.mark.parametrize("marked", [True, False])
def test_kaldi_accepts_the_real_dictionary(kaldi_utils: Callable, peers: Path, tmp_path: Path, marked: bool) -> None:
    folder = tmp_path / "lang"
    config = LangConfig(position_dependent_phones=marked)
    prepare_lang(peers / "lang_small" / "dict", "<UNK>", folder, kaldi_topo, config)
    done = kaldi_utils("utils/validate_lang.pl", folder)
    assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout[-3000:]


def test_small_folder_by_hand(make_lang: Make) -> None:
    lang = make_lang(position_dependent_phones=False, silence_prob=0.0)
    words, phones = (" ".join((lang / f"{name}.txt").read_text().split()) for name in ("words", "phones"))
    assert words == "<eps> 0 !SIL 1 <UNK> 2 A 3 SEA 4 SEE 5 SEED 6 SEEDS 7 #0 8 <s> 9 </s> 10"
    # SEA #1, SEE #2, SEED #1; one symbol more for silence.
    assert phones == "<eps> 0 SIL 1 SPN 2 AH 3 D 4 EY 5 IY 6 S 7 #0 8 #1 9 #2 10 #3 11"
    assert (lang / "phones/align_lexicon.int").read_text() == (
        "1 1 1\n2 2 2\n0 0 1\n3 3 3\n3 3 5\n4 4 7 6\n5 5 7 6\n6 6 7 6 4\n7 7 7 6 4 7\n"
    )
    assert (lang / "phones/disambig.csl").read_text() == "8:9:10:11\n"
    assert (lang / "oov.int").read_text() == "2\n"
    assert not (lang / "phones/word_boundary.txt").exists()
    assert LangDir.load(lang).pronunciations(disambig=True)[4:7] == [
        ("SEA", ("S", "IY", "#1")), ("SEE", ("S", "IY", "#2")), ("SEED", ("S", "IY", "D", "#1")),
    ]  # fmt: skip
    meta = read_meta(lang)
    assert (meta["kind"], meta["facts"]["words"], meta["settings"]["oov"]) == ("lang", 7, "<UNK>")


def test_the_same_dictionary_gives_the_same_bytes(make_lang: Make) -> None:
    one, two = make_lang(name="one"), make_lang(name="two")
    for file in (p for p in one.rglob("*") if p.is_file() and p.name != "meta.json"):
        assert file.read_bytes() == (two / file.relative_to(one)).read_bytes()


def test_one_word_lexicon(make_lang: Make) -> None:
    lang = LangDir.load(make_lang({"lexicon.txt": "<UNK> SPN\n"}))
    assert lang.pronunciations() == [("<UNK>", ("SPN_S",))]
    assert lang.phones.symbol(lang.disambig_phones[-1]) == "#1"


def test_word_boundaries_of_the_dictionary_are_taken_over(make_lang: Make) -> None:
    marks = "SIL nonword\nSPN singleton\nAH singleton\nD end\nEY singleton\nIY internal\nS begin\n"
    lang = LangDir.load(make_lang({"word_boundary.txt": marks}, position_dependent_phones=False))
    assert lang.word_boundary is not None
    assert lang.word_boundary[lang.phones["S"]] == "begin"


@pytest.mark.parametrize(
    "marks, message",
    [
        ("SIL nonword\nX begin\n", "word_boundary.txt:2: found 'X begin'; wanted one of the 7 phones and its kind"),
        ("SIL nonword\n", "word_boundary.txt: lacks phone 'AH'; wanted every phone. Add it."),
    ],
)
def test_message_of_bad_word_boundaries(make_lang: Make, marks: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_lang({"word_boundary.txt": marks}, position_dependent_phones=False)
    assert message in str(caught.value)


def test_message_of_a_missing_oov_word(make_dict: Make, make_topo: Callable, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        prepare_lang(make_dict(), "<OOV>", tmp_path / "lang", make_topo)
    assert str(caught.value).endswith(
        "dict: the lexicon lacks '<OOV>'; wanted a word that stands for unknown words. "
        "Add a line such as '<OOV> SPN', or name another word."
    )
    assert not (tmp_path / "lang").exists()


def test_a_folder_of_the_users_own_is_left_alone(make_dict: Make, make_topo: Callable, tmp_path: Path) -> None:
    (tmp_path / "lang").mkdir()
    (tmp_path / "lang" / "thesis.txt").write_text("mine")
    with pytest.raises(
        InputError, match=r"did not make \(.thesis\.txt. in it\); wanted a new folder.* Choose another --out-dir"
    ):
        prepare_lang(make_dict(), "<UNK>", tmp_path / "lang", make_topo)
    assert (tmp_path / "lang" / "thesis.txt").read_text() == "mine"


def test_an_older_lang_folder_is_replaced(make_lang: Make, make_dict: Make, make_topo: Callable) -> None:
    lang = make_lang()
    prepare_lang(make_dict({"lexicon.txt": "<UNK> SPN\nB AH\n"}), "<UNK>", lang, make_topo)
    assert "B" in LangDir.load(lang).words


def test_the_first_error_of_the_dictionary_is_raised_with_the_number_of_others(make_lang: Make) -> None:
    with pytest.raises(InputError) as caught:
        make_lang({"lexicon.txt": "<UNK> SPN\nA AX\nB\n"})
    assert "lexicon.txt:2: word 'A' uses phone 'AX', absent from" in str(caught.value)
    assert "(1 more errors: `hybrid lang validate" in str(caught.value)


@pytest.mark.parametrize(
    "symbols, options, message",
    [
        (["SIL", "SPN", "AH", "EY", "IY", "S", "#0"], {}, "lacks 1 phone of the dictionary: D (SEED, SEEDS; nearest: "),
        (["SIL", "SPN", "AH", "#0"], {}, "lacks 4 phones of the dictionary: D (SEED, SEEDS; nearest: AH); EY (A; "),
        (["SIL", "SPN", "AH"], {}, "has no '#0'"),
        (["#0", "SIL", "SPN", "AH", "D", "EY", "IY", "S"], {}, "has phones behind '#0'"),
        (["SIL", "SPN", "AH"], {"position_dependent_phones": True}, "has no '#0'"),
        (
            ["SIL", "SPN", "AH", "#0"],
            {"position_dependent_phones": True},
            "are not marked for word position. Use --no-pos",
        ),
        (["SIL", "SPN", "AH_B", "#0"], {}, "are marked for word position. Use --position-dependent-phones"),
    ],
)
def test_message_of_a_phone_table_that_does_not_fit(
    make_dict: Make, make_topo: Callable, tmp_path: Path, symbols: list[str], options: dict, message: str
) -> None:
    table = SymbolTable(("<eps>", *symbols))
    config = LangConfig(**{"position_dependent_phones": False, **options})
    with pytest.raises(InputError) as caught:
        prepare_lang(make_dict(), "<UNK>", tmp_path / "lang", make_topo, config, table)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"silence_prob": 1.0}, "silence_prob is 1.0; wanted at least 0 and below 1"),
        ({"extra_phone_disambig": 0}, "extra_phone_disambig is 0"),
        ({"extra_word_disambig": ("#1",)}, "'#1'; wanted '#' and a name that is no number"),
        ({"extra_word_disambig": ("x",)}, "'x'; wanted '#'"),
        ({"extra_word_disambig": ("#x", "#x")}, "has a symbol twice"),
    ],
)
def test_config_checks_itself(options: dict, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        LangConfig(**options)
    assert message in str(caught.value)
