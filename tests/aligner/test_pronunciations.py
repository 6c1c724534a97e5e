"""Pronunciation and silence probabilities from alignments of the synthetic language, and everything that uses them."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.aligner.align_set import align_set
from hybrid.aligner.config import SpeechAlignConfig
from hybrid.aligner.pronunciations import add_probabilities
from hybrid.aligner.text_aligner import TextAligner
from hybrid.base.artifact import read_meta
from hybrid.base.errors import HybridError, MismatchError
from hybrid.cli.language.lang import command
from hybrid.decode.decode_set import decode_corpus
from hybrid.decode.sources import FeatureFolder
from hybrid.decode.system import SystemSpec
from hybrid.formats.openfst import FstArrays, read_fst, write_fst
from hybrid.gmm.kaldi_model import write_kaldi_model
from hybrid.graph.decoding import compile_decoding_graph
from hybrid.model.folder import load_model
from hybrid.train.gmm.config import EmConfig
from hybrid.train.gmm.ladder import load_alignments
from hybrid.train.gmm.mono import MonoConfig, train_mono
from lexicon.dict_dir import read_dict_dir
from lexicon.lang_dir import LangDir
from lexicon.prepare import prepare_lang
from lexicon.validate import check_lang_dir
from lexicon.vocabulary import Pronouncer, TextLexicon

# what is said → the transcript; " | " is a pause. A is also said like BA, and then only after a pause.
SAID = ("A AB | BA A", "AB | BA", "A A AB", "A | BA AB", "AB A | BA", "AB AB", "A | A | A", "AB A A", "BA AB", "B A")
DICT = {
    "lexicon.txt": "<UNK> spn\nA a\nA b a\nAB a b\nB b\n",
    "silence_phones.txt": "sil\nspn\n",
    "optional_silence.txt": "sil\n",
    "nonsilence_phones.txt": "a\nb\n",
    "extra_questions.txt": "",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory, store, lang):
    out = tmp_path_factory.mktemp("exp") / "mono"
    em = EmConfig(num_passes=6, last_mix_up_pass=4, total_gaussians=30, realign_passes=(1, 2, 3, 5))
    train_mono(store, lang, out, MonoConfig(em=em))
    return load_model(out)


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("variants") / "dict"
    folder.mkdir()
    for name, text in DICT.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def variants(dictionary, lang) -> LangDir:
    """The language with a second pronunciation of A instead of the word BA; the model's phones."""
    folder = dictionary.parent / "lang"
    prepare_lang(dictionary, "<UNK>", folder, lambda *_: lang.topo_path.read_text(), phones=lang.phones)
    return LangDir.load(folder)


@pytest.fixture(scope="module")
def spoken(make_store, speak):
    utterances = {}
    for number in range(40):
        said = SAID[number % len(SAID)]
        frames = np.concatenate([speak(part, 7 * number + n, 0.3) for n, part in enumerate(said.split(" | "))])
        text = said.replace(" | ", " ").replace("BA", "A")
        utterances[f"u{number:02d}"] = (f"s{number % 2}", text, frames)
    return make_store(utterances)


@pytest.fixture(scope="module")
def made(model, dictionary, variants, spoken) -> Path:
    """A folder with `ali` and the `dict` and `lang` made from it."""
    out = dictionary.parent / "out"
    align_set(model, spoken, variants, out / "ali")
    alignments = load_alignments(out / "ali", model)
    add_probabilities(dictionary, variants, model, alignments, spoken, out / "dict", out / "lang")
    return out


def test_what_was_said_is_what_is_counted(made) -> None:
    counts = {}
    for line in (made / "dict" / "pron_counts_nowb.txt").read_text().splitlines():
        number, *item = line.split()
        counts[tuple(item)] = int(number)
    said = [w for text in (SAID * 4) for w in text.replace("|", "").split()]
    wanted = {("A", "a"): said.count("A"), ("A", "b", "a"): said.count("BA"), ("AB", "a", "b"): said.count("AB")}
    for item, count in wanted.items():
        assert counts[item] == pytest.approx(count, abs=3), item
    assert sum(n for item, n in counts.items() if item[0] != "<eps>") == len(said)
    _, lexicon = read_dict_dir(made / "dict")
    of = {(e.word, *e.phones): e for e in lexicon.entries}
    assert of["A", "a"].probability == 1 and of["A", "b", "a"].probability < 0.6
    assert of["A", "b", "a"].silence[1] > 1 > of["A", "b", "a"].silence[2]  # said after pauses
    assert lexicon.silence_probs.begin == 0.99 and (made / "dict" / "failed.txt").read_text() == ""
    assert read_meta(made / "dict")["settings"]["correction_smoothing"] == 2.0


def test_the_lang_folder_keeps_everything_but_the_weights(made, variants) -> None:
    assert not check_lang_dir(made / "lang")
    for file in (p for p in variants.path.rglob("*") if p.is_file()):
        same = file.read_bytes() == (made / "lang" / file.relative_to(variants.path)).read_bytes()
        assert same != (file.name in ("L.fst", "L_disambig.fst", "meta.json")), file


def test_training_and_alignment_take_the_new_lang(made, model, spoken, lang, tmp_path) -> None:
    weighted = LangDir.load(made / "lang")
    alignments = align_set(model, spoken, weighted, tmp_path / "ali")
    assert sorted(alignments.ids) == sorted(spoken.ids)
    before = load_alignments(made / "ali", model)
    same = np.mean([np.mean(alignments[u] == before[u]) for u in alignments.ids])
    assert same > 0.95
    em = EmConfig(num_passes=4, last_mix_up_pass=2, total_gaussians=25, realign_passes=(1, 2, 3))
    train_mono(spoken, weighted, tmp_path / "mono", MonoConfig(em=em))
    assert (tmp_path / "mono" / "failed.txt").read_text() == ""


def loop_of(lang: LangDir, *words: str) -> FstArrays:
    """Any of some words, again and again, all equally likely."""
    labels, count = np.array(sorted(lang.words[w] for w in words), np.int32), len(words)
    costs = np.full(count, np.log(count), np.float32)
    return FstArrays(0, np.array([0, count]), labels, labels, np.zeros(count, np.int32), costs, np.zeros(1, np.float32))


def test_decoding_graphs_take_the_new_lang(made, model, spoken, tmp_path) -> None:
    weighted = LangDir.load(made / "lang")
    loop = loop_of(weighted, "A", "AB", "B")
    compile_decoding_graph(weighted, loop, model.transition_model, tmp_path / "graph")
    spec = SystemSpec(str(model.path), str(tmp_path / "graph"), engine="native")
    totals = decode_corpus(spec, FeatureFolder(str(spoken.path)), tmp_path / "decode")
    assert totals.done == len(spoken.ids) and totals.failed == 0
    found = dict(line.partition(" ")[::2] for line in (tmp_path / "decode" / "transcript.txt").read_text().splitlines())
    # "B A" and A as b-a sound alike
    right = sum(found[u].split() == spoken.text(u) for u in spoken.ids)
    assert right > 0.7 * len(spoken.ids)
    words = [line.split() for line in (tmp_path / "decode" / "words.ctm").read_text().splitlines()[1:]]
    assert {row[4] for row in words} <= {"A", "AB", "B"}


def test_clashes_are_found_in_a_lang_with_silence_probabilities(made, model, tmp_path, forget_files) -> None:
    shutil.copytree(made / "lang", tmp_path / "lang")
    lang = LangDir.load(tmp_path / "lang")
    assert not lang.find_clashes()
    fst = lang.L_arrays(disambig=True)
    words = np.where(fst.olabels == lang.words["B"], lang.words["AB"], fst.olabels)
    phones = np.where(fst.ilabels == lang.phones["b_S"], lang.phones["a_S"], fst.ilabels)
    sounding_alike = dataclasses.replace(fst, ilabels=phones, olabels=words)
    write_fst(tmp_path / "lang" / "L_disambig.fst", sounding_alike)
    forget_files(tmp_path / "lang")
    clashes = LangDir.load(tmp_path / "lang").find_clashes(words={"A", "AB"})
    assert [(c.kind, c.first, c.second) for c in clashes] == [("same", "A", "AB")]
    broken = LangDir.load(tmp_path / "lang")
    with pytest.raises(HybridError, match="'A' and 'AB' are both pronounced 'a_S"):
        compile_decoding_graph(broken, loop_of(broken, "A", "AB"), model.transition_model, tmp_path / "graph")


def test_words_of_texts_take_the_new_lang(made, model, spoken) -> None:
    weighted = LangDir.load(made / "lang")
    lexicon = TextLexicon.make(
        weighted, {"A", "AB", "NEW"}, Pronouncer(guess=lambda words: {w: [("a", "b")] for w in words})
    )
    after_words = [e.silence[0] for e in read_dict_dir(made / "dict")[1].entries]
    assert lexicon.silence == pytest.approx(np.mean(after_words), rel=1e-4)
    aligner = TextAligner(model, lexicon, SpeechAlignConfig(confidence=False))
    scores = model.scores(model.pipeline.features(spoken, "u00"))
    aligned = aligner.align(["A", "AB", "A", "A"], scores)
    assert [w.label for w in aligned.words if w.label] == ["A", "AB", "A", "A"]
    aligned = aligner.align(["A", "NEW", "A", "A"], scores)
    assert [(w.label, w.guessed) for w in aligned.words if w.label][1] == ("NEW", True)


def test_a_text_that_was_not_aligned_is_listed(model, dictionary, variants, made, make_store, spoken, tmp_path) -> None:
    texts = {u: " ".join(spoken.text(u)) for u in spoken.ids}
    texts["u03"], texts["u04"] = "AB AB AB", ""
    other = make_store({u: (spoken.speaker(u), texts[u], spoken.load(u)) for u in spoken.ids})
    alignments = load_alignments(made / "ali", model)
    add_probabilities(dictionary, variants, model, alignments, other, tmp_path / "dict", tmp_path / "lang")
    assert (tmp_path / "dict" / "failed.txt").read_text() == (
        "u03 the aligned phones do not spell the transcript (another text, or another lexicon)\nu04 empty transcript\n"
    )
    wrong = make_store({u: ("s", "AB AB AB AB", spoken.load(u)) for u in spoken.ids})
    with pytest.raises(HybridError, match="40 of 40 utterances could not be counted; the first, u00: the aligned"):
        add_probabilities(dictionary, variants, model, alignments, wrong, tmp_path / "d2", tmp_path / "l2")
    stranger = make_store({"nobody": ("s", "A", spoken.load("u00"))})
    with pytest.raises(MismatchError, match="none of the aligned utterances is in"):
        add_probabilities(dictionary, variants, model, alignments, stranger, tmp_path / "d2", tmp_path / "l2")
    assert not (tmp_path / "d2").exists() and not (tmp_path / "l2").exists()


def test_command(model, dictionary, variants, spoken, made, tmp_path) -> None:
    options = {
        "--dict-dir": dictionary, "--lang": variants.path, "--model": model.path, "--ali": made / "ali",
        "--feats": spoken.path, "--out-dict": tmp_path / "dict", "--out-lang": tmp_path / "lang",
    }  # fmt: skip
    arguments = ["add-probs", *(str(part) for pair in options.items() for part in pair)]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    for name in ("dict/lexiconp_silprob.txt", "dict/silprob.txt", "lang/L.fst", "lang/L_disambig.fst"):
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes()
    result = CliRunner().invoke(command, [*arguments, "--no-silence"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "dict" / "silprob.txt").exists() and (tmp_path / "dict" / "lexiconp.txt").exists()
    assert LangDir.load(tmp_path / "lang").L_arrays().num_states == variants.L_arrays().num_states


def canonical(fst: FstArrays) -> list[np.ndarray]:
    order = np.lexsort((fst.costs, fst.next_states, fst.ilabels, fst.olabels, fst.sources()))
    return [fst.final_costs, *(a[order] for a in (fst.sources(), fst.ilabels, fst.olabels, fst.next_states, fst.costs))]


@pytest.mark.peer
@pytest.mark.slow
def test_equals_kaldis_scripts(
    kaldi_bin: Path, made, model, dictionary, variants, spoken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """get_prons.sh, dict_dir_add_pronprobs.sh and prepare_lang.sh on the same alignments: the same bytes."""
    recipe = kaldi_bin.parent / "egs" / "wsj" / "s5"
    if not (recipe / "steps" / "get_prons.sh").exists():
        pytest.skip(f"Kaldi's scripts not found at {recipe}")
    for name in ("steps", "utils"):
        (tmp_path / name).symlink_to(recipe / name)
    (tmp_path / "path.sh").write_text("")
    data, ali = tmp_path / "data", tmp_path / "ali"
    (data / "split1" / "1").mkdir(parents=True)
    ali.mkdir()
    for folder in (data, data / "split1" / "1"):
        (folder / "text").write_text("".join(f"{u} {' '.join(spoken.text(u))}\n" for u in spoken.ids))
        (folder / "utt2spk").write_text("".join(f"{u} {u}\n" for u in spoken.ids))
    (ali / "num_jobs").write_text("1\n")
    (ali / "ali.1.gz").write_bytes((made / "ali" / "ali.gz").read_bytes())
    write_kaldi_model(ali / "final.mdl", model.transition_model, model.acoustic_model.gmm)
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PERL_HASH_SEED", "0")
    path = f"{kaldi_bin}:{recipe / 'utils'}:{os.environ['PATH']}"

    def run(*arguments: object) -> None:
        done = subprocess.run(
            [str(a) for a in arguments], cwd=tmp_path, env={**os.environ, "PATH": path},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    run("steps/get_prons.sh", "--cmd", "run.pl", data, variants.path, ali)
    names = ("pron_counts_nowb.txt", "sil_counts_nowb.txt", "pron_bigram_counts_nowb.txt")
    for name in names:
        theirs, mine = (sorted((folder / name).read_text().splitlines()) for folder in (ali, made / "dict"))
        assert mine == theirs, name
    counts = [ali / name for name in names]
    run("utils/dict_dir_add_pronprobs.sh", dictionary, *counts, tmp_path / "dict")
    for name in ("lexiconp.txt", "lexiconp_silprob.txt", "silprob.txt", "lexicon.txt"):
        assert (made / "dict" / name).read_text() == (tmp_path / "dict" / name).read_text(), name
    run("utils/validate_dict_dir.pl", made / "dict")
    same_phones = ("--phone-symbol-table", variants.path / "phones.txt")
    run("utils/prepare_lang.sh", *same_phones, tmp_path / "dict", "<UNK>", tmp_path / "t", tmp_path / "l")
    for name in ("L.fst", "L_disambig.fst"):
        theirs, mine = (canonical(read_fst(folder / name)) for folder in (tmp_path / "l", made / "lang"))
        assert all(np.array_equal(a, b) for a, b in zip(mine, theirs)), name
    run("utils/validate_lang.pl", made / "lang")
