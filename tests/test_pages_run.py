"""README and docs: their blocks of shell run as a user types them, with the data of a tiny recogniser."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.pages import Page, must_run
from tests.tiny_recogniser import Tiny, make_audio, must, tiny, write_wav  # noqa: F401

pytestmark = pytest.mark.slow
TEXT = "LOW HIGH MID\nHIGH LOW\nMID\nLOW\nMID LOW\nHIGH HIGH MID LOW\n"
SMALL_CHAIN = """\
network: {dim: 16, bottleneck_dim: 8, prefinal_dim: 8, time_strides: [1, 1], first_context: 1, subsampling_factor: 3}
batches: {chunk_frames: [30], batch_frames: 600}
training: {epochs: 1, heldout: 4, average: 1}
"""


def made_up_words(count: int) -> str:
    """Lines of a dictionary in which every letter has one sound."""
    sounds = {"a": "AA1", "e": "EH1", "d": "D", "k": "K", "l": "L", "m": "M", "s": "S", "t": "T"}
    random = np.random.default_rng(1)
    words = sorted({"".join(random.choice(list(sounds), size=random.integers(2, 8))) for _ in range(count)})
    return "".join(f"{word} {' '.join(sounds[letter] for letter in word)}\n" for word in words)


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def home(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """What the pages take for granted, by the names that they use."""
    folder = tmp_path_factory.mktemp("home")
    with inside(folder):
        for name, of in (("train", "train"), ("test", "test"), ("mine", "train")):
            shutil.copytree(tiny.root / of, f"data/{name}")
            shutil.copytree(tiny.root / f"feats_{of}", f"exp/feats/{name}")
        for speaker in ("ann", "bob"):
            shutil.copytree(tiny.audio / "ann", f"dev_audio/{speaker}")
        must("data", "from-audio", "dev_audio", "--out-dir", "data/dev", "--rate", 8000)
        must(
            "feats", "extract", "--cuts", "data/dev", "--config", tiny.root / "mfcc.yaml", "--out-dir", "exp/feats/dev"
        )
        shutil.copytree(tiny.root / "lang", "data/lang")
        shutil.copytree(tiny.root / "dict", "data/dict")
        shutil.copytree(tiny.audio, "my_corpus")
        Path("text.txt").write_text(TEXT * 4)
        Path("cmudict.dict").write_text("high HH AY1\nlow L OW1\nmid M IH1 D\n" + made_up_words(400))
        shutil.copy("text.txt", "dev.txt")
        Path("books.txt.gz").write_bytes(gzip.compress((TEXT * 20).encode()))
        Path("vocab.txt").write_text("HIGH\nLOW\nMID\n")
        Path("names.txt").write_text("PETER M IY1 D HH OW1\n")
        write_wav(Path("my.wav"), make_audio(["LOW", "HIGH", "MID"], 77))
        must("lm", "train", "text.txt", "--order", 2, "--smoothing", "witten-bell", "--out", "tg.arpa.gz")
        must("lm", "fst", "tg.arpa.gz", "--lang", "data/lang", "--out", "data/G.fst")
        shutil.copy("tg.arpa.gz", "speech.arpa.gz")
    return folder


@pytest.fixture(scope="module")
def gmms(home: Path) -> Path:
    """What docs/gmm.md makes: the ladder of models."""
    with inside(home):
        must_run(Page("docs/gmm.md").lines())
        must_run(Page("docs/graph.md").lines())
        must_run(Page("docs/lm.md").lines())
    return home


@pytest.fixture
def fresh(tiny: Tiny, home: Path, tmp_path: Path) -> Iterator[Path]:  # noqa: F811
    """A folder of somebody who begins: recordings, texts and a dictionary."""
    for name in ("text.txt", "cmudict.dict", "names.txt", "my.wav"):
        shutil.copy(home / name, tmp_path)
    for name in ("my_corpus", "data/test"):
        shutil.copytree(home / name, tmp_path / name)
    with inside(tmp_path):
        yield tmp_path


@pytest.fixture
def trained(gmms: Path) -> Iterator[Path]:
    with inside(gmms):
        yield gmms


def test_gmm_graph_and_lm(trained: Path) -> None:
    assert Path("tree.svg").exists() and Path("guessed/lexiconp.txt").exists()


def test_lang(fresh: Path) -> None:
    must_run(Page("docs/lang.md").lines(0))


def test_pronunciation_probabilities(trained: Path) -> None:
    must_run(Page("docs/lang.md").lines(1))


def test_align(trained: Path) -> None:
    write_wav(Path("book.wav"), make_audio(["LOW", "HIGH", "MID"], 77))
    subprocess.run(["cp", "book.wav", "book.flac"], check=True)  # formats are known by their first bytes
    Path("book.txt").write_text("Low, high mid.\n")
    page = Page("docs/align.md")
    must_run(page.lines(3))
    must_run(page.lines(0))
    assert Path("out/words.ctm").exists() or list(Path("out").glob("*.json"))


def test_align_with_a_model_of_ones_own(fresh: Path) -> None:
    must_run(Page("docs/align.md").lines(2))


def decode(model: str, name: str, out: str, *options: str) -> None:
    graph = Path("exp", model, "graph")
    if not graph.exists():
        must(
            "graph",
            "compile",
            "--model",
            graph.parent,
            "--lang",
            "data/lang",
            "--grammar",
            "data/G.fst",
            "--out-dir",
            graph,
        )
    must(
        "decode", "--model", graph.parent, "--graph", graph, "--feats", f"exp/feats/{name}", "--out-dir", out, *options
    )


def test_a_second_pass(trained: Path) -> None:
    decode("tri3b", "dev", "exp/chain/decode_dev")
    shutil.copy("exp/tri3b/graph/words.txt", "words.txt")
    must("lattice", "copy", "exp/chain/decode_dev", "test.fg.gz")
    # another acoustic model wants a network: tests/rescore run that command
    must_run([line for line in Page("docs/rescoring.md").lines() if not line.startswith("hybrid rescore acoustic ")])


def test_lattices(trained: Path) -> None:
    decode("tri2b", "dev", "exp/tri2b/decode_dev", "--raw")
    must_run(Page("docs/lattices.md").lines())


def test_several_systems(trained: Path) -> None:
    for model, name in (("mono", "gmm"), ("tri1", "nnet")):
        decode(model, "dev", f"out/{name}")
        must("lattice", "copy", f"out/{name}", f"{name}.lat.gz")
    shutil.copy("exp/tri1/graph/words.txt", "words.txt")
    must_run(Page("docs/confidence.md").lines(1))


def test_parts_of_chain_models(trained: Path) -> None:
    page = Page("docs/nnet.md")
    # trainings, and what follows them: tests/train/nnet/test_chain.py, test_full_sum.py
    must_run([line for line in page.lines(1, 2) if "exp/flat/net" not in line])
    shutil.copytree("exp/feats/train", "exp/hires/train")
    must_run([line for line in page.lines(3) if "exp/full_sum/net" not in line])
    page.run_python()
    assert page.names["chunk"]


@pytest.fixture
def voice(tmp_path: Path) -> Iterator[Path]:
    """A folder with a synthesised voice's recordings and their texts."""
    pytest.importorskip("espeakng_loader")
    from hybrid.synth.espeak import Voice, speak

    for name, text in (("my", "turn on the light in the kitchen"), ("my_corpus/ann", "turn off the radio")):
        spoken = speak(text, Voice("en-us"))
        (tmp_path / name).parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(0).normal(size=len(spoken.samples)) * 0.003  # as of a microphone
        soundfile.write(tmp_path / f"{name}.wav", spoken.samples / 32768 + noise, spoken.rate)
        (tmp_path / f"{name}.txt").write_text(text)
    with inside(tmp_path):
        yield tmp_path


def test_readme(voice: Path, capsys: pytest.CaptureFixture) -> None:
    page = Page("README.md")
    printed = must_run([line for line in page.lines(1) if not line.startswith(". ")])
    assert "my TURN ON THE LIGHT IN THE KITCHEN" in printed[-1]
    page.run_python()
    assert capsys.readouterr().out.startswith("TURN ON THE LIGHT IN THE KITCHEN\n")


def test_align_with_the_ready_model(voice: Path) -> None:
    must_run(Page("docs/align.md").lines(1))
    assert "RADIO" in Path("out/words.ctm").read_text()


def test_domain(fresh: Path) -> None:
    """All but what needs real speech and runs in tests/recogniser/test_domain_page.py."""
    headings = re.findall(r"^## (.*)$", Page("docs/domain.md").text, re.MULTILINE)
    for heading in headings:
        if heading not in ("Grammars", "Classes and slots", "New words"):
            Page("docs/domain.md", section=heading).run_python()


def test_text_only_adaptation(tmp_path: Path) -> None:
    page = Page("docs/domain.md", section="Text-only adaptation")
    page.write_files(tmp_path)
    with inside(tmp_path):
        _, told, last = must_run(page.lines())
        rows = {name: row for name, *row in (line.split("\t") for line in Path("steps.tsv").read_text().splitlines())}
    assert told in page.text and "12.83" in last
    before, after = (dict(zip(rows["step"], rows[name])) for name in ("model 1", "adapted"))
    assert (before["oovs"], after["oovs"]) == ("2", "0")
    assert [round(float(row["ppl_with_oovs"]), 1) for row in (before, after)] == [22.5, 12.8]


def test_vosk(voice: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.copytree("my_corpus", "recordings")
    page = Page("docs/vosk.md")
    printed = must_run(page.lines())
    assert "my TURN ON THE LIGHT IN THE KITCHEN" in printed[3] and Path("out/recordings/ann.srt").exists()
    page.run_python()
    assert capsys.readouterr().out.splitlines()[0] == "TURN ON THE LIGHT IN THE KITCHEN"
    assert page.names["said"] == ["TURN ON THE LIGHT IN THE KITCHEN"]


def kaldi_data(folder: Path, count: int, seed: int) -> None:
    """A data folder of Kaldi's with recordings at 16 kHz."""
    random = np.random.default_rng(seed)
    lines: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": []}
    for name in (f"ann-{seed}-{n:02d}" for n in range(count)):
        words = [str(word) for word in random.choice(["LOW", "MID", "HIGH"], size=3)]
        path = folder.parent / "audio" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.repeat(make_audio(words, seed), 2), 16000)
        for table, value in (("wav.scp", path), ("text", " ".join(words)), ("utt2spk", "ann")):
            lines[table].append(f"{name} {value}\n")
    folder.mkdir()
    for table, rows in lines.items():
        (folder / table).write_text("".join(rows))


def test_kaldi(tiny: Tiny, home: Path, tmp_path: Path) -> None:  # noqa: F811
    with inside(tmp_path):
        Path("kaldi/data").mkdir(parents=True)
        for name, count in (("train", 20), ("test", 5)):
            kaldi_data(tmp_path / "kaldi/data" / name, count, count)
        shutil.copytree(tiny.root / "dict", "kaldi/data/local/dict")
        must("lm", "train", home / "text.txt", "--order", 2, "--smoothing", "witten-bell", "--out", "kaldi/lm.arpa")
        printed = must_run(Page("docs/kaldi.md").lines())
        assert "%WER" in printed[9] or "WER" in printed[9]
        assert Path("kaldi/back/train/wav.scp").exists()
