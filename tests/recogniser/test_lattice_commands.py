"""From decoded lattices to words on their frames with confidences, by commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hybrid.lattice.archive import read_compact_folder, read_lattice_folder
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.trim import state_times
from hybrid.model.folder import load_model
from hybrid.timing.segments import phone_segments
from tests.tiny_recogniser import Tiny, must


@pytest.fixture(scope="module")
def decoded(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("decoded") / "dev"
    given = ["--model", tiny.model, "--graph", tiny.graph, "--feats", tiny.feats]
    must("decode", *given, "--kaldi-times", "--out-dir", out, "--lattice-beam", 8)
    must("lattice", "determinize", out, out.parent / "det.gz", "--model", tiny.model, "--beam", 8)
    must("lattice", "align", out.parent / "det.gz", out.parent / "words.gz", "--model", tiny.model)
    return out


def test_times_are_those_of_the_best_path(tiny: Tiny, decoded: Path) -> None:
    words = ("--words", tiny.graph / "words.txt")
    on_frames = ("lattice", "to-ctm", decoded.parent / "words.gz", *words)
    lines = must(*on_frames, "--no-mbr", "--kaldi-times").stdout.splitlines()
    ours = {tuple(line.split()[:5]) for line in lines}
    theirs = {tuple(line.split()[:5]) for line in (decoded / "words.ctm").read_text().splitlines()}
    # expected times are those of the best path where nothing competes
    assert len(ours & theirs) > 0.8 * len(theirs)
    again = must(
        "lattice", "to-ctm", decoded.parent / "det.gz", *words, "--no-mbr", "--model", tiny.model, "--kaldi-times"
    )
    assert again.output.splitlines() == lines
    middle = must("lattice", "to-ctm", decoded.parent / "det.gz", *words, "--model", tiny.model).stdout
    assert middle.startswith(";; boundaries: middle between windows")
    assert must(*on_frames).stdout == middle  # the record tells the model's windows, also behind further commands
    must("lattice", "copy", decoded.parent / "words.gz", decoded.parent / "again.gz")
    assert must("lattice", "to-ctm", decoded.parent / "again.gz", *words).stdout == middle
    (decoded.parent / "alone").mkdir(exist_ok=True)
    shutil.copy(decoded.parent / "words.gz", decoded.parent / "alone")
    alone = must("lattice", "to-ctm", decoded.parent / "alone/words.gz", *words)
    assert "no record tells windows, so boundaries lie at frame number × shift, as Kaldi's" in alone.stderr
    scores = [float(line.split()[5]) for line in lines]
    assert all(0 <= score <= 1 for score in scores)


def test_arcs_are_words_and_phones(tiny: Tiny, decoded: Path) -> None:
    model = load_model(tiny.model).transition_model
    must("lattice", "align", decoded.parent / "det.gz", decoded.parent / "phones.gz", "--phones", "--model", tiny.model)
    raw = dict(read_lattice_folder(decoded))
    scale = 0.1
    for name, most in (("words.gz", 99), ("phones.gz", 1)):
        for utterance, compact in read_compact_folder(decoded.parent / name):
            assert state_times(compact).max() == raw[utterance].num_frames
            for arc in range(compact.num_arcs):
                assert 1 <= len(phone_segments(compact.string(arc), model)) <= most
            before = dict(read_compact_folder(decoded.parent / "det.gz"))[utterance]
            assert mbr_decode(compact, scale).risk == pytest.approx(mbr_decode(before, scale).risk, abs=0.05)
