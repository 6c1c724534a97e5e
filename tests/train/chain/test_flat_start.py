"""A flat start of lattice-free MMI by its commands: from transcripts and features, without alignments."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.chain.folder import load_chain_model, load_denominator, phone_sequences
from hybrid.chain.store import Supervisions
from hybrid.chain.supervision import Cutter
from hybrid.cli.nnet import command


def run(*words: object) -> str:
    result = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("units", ["biphone", "monophone", "state"])
def test_commands(store, lang, tmp_path, units):
    tree, den, sup = (tmp_path / name for name in ("tree", "den", "sup"))
    given = ["--feats", store.path, "--lang", lang.path]
    run("chain-flat", *given, "--units", units, "--min-biphone-count", 1, "--out-dir", tree)
    run("chain-den", "--tree", tree, "--out-dir", den)
    assert "40 utterances, 0 failed" in run("chain-sup", "--tree", tree, *given, "--out-dir", sup)
    model, part = load_chain_model(tree)
    assert model.tree.context_width == (2 if units == "biphone" else 1)
    assert units == "biphone" or model.num_pdfs == len(lang.sets) * (1 if units == "state" else 2)
    sequences = phone_sequences(tree, model)
    assert len(sequences) == 5 * len(store.ids)
    made, cutter = Supervisions.open(sup, part), Cutter(load_denominator(den, part))
    assert not made.timed
    for utterance in made.ids:
        acceptor = cutter.untimed(made[utterance])
        assert acceptor.num_frames == -(-store.num_frames(utterance) // 3) and np.isfinite(acceptor.final).any()


def test_again_is_the_same(store, lang, tmp_path):
    given = ["chain-flat", "--feats", store.path, "--lang", lang.path]
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        run(*given, "--seed", seed, "--out-dir", tmp_path / name)
    one, two, three = ((tmp_path / name / "phone_sequences.gz").read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


def test_too_short_and_unspoken(make_store, lang, speak, tmp_path):
    rng = np.random.default_rng(0)
    long = speak("AB A", 1)
    utterances = {
        "good": ("s", "AB A", long), "fast": ("s", "AB A", rng.standard_normal((6, long.shape[1]))),
        "mute": ("s", "", long),
    }  # fmt: skip
    store = make_store(utterances)
    given = ["--feats", store.path, "--lang", lang.path]
    run("chain-flat", *given, "--out-dir", tmp_path / "tree")
    assert (tmp_path / "tree" / "failed.txt").read_text() == "mute empty transcript\n"
    run("chain-sup", "--tree", tmp_path / "tree", *given, "--out-dir", tmp_path / "sup")
    lines = (tmp_path / "sup" / "failed.txt").read_text().splitlines()
    assert lines == ["fast 6 frames give 2 of output, too few for 3 phones", "mute empty transcript"]


def test_what_supervision_is_made_from(store, lang, tmp_path):
    words = ["chain-sup", "--tree", str(tmp_path), "--feats", str(store.path), "--out-dir", str(tmp_path / "sup")]
    tree = tmp_path / "tree"
    run("chain-flat", "--feats", store.path, "--lang", lang.path, "--out-dir", tree)
    words[2] = str(tree)
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 2
    wanted = "give --ali and --model; these, --feats, --lang and --ways-beam; or for a flat start --feats and --lang"
    assert wanted in result.output
