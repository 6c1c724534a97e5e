"""The tree of a chain model: from alignments of monophones, by its command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.align.convert import phone_runs
from hybrid.chain.folder import load_chain_model, load_denominator
from hybrid.chain.store import Supervisions
from hybrid.chain.subsampling import chain_pdf_classes, subsampled_durations
from hybrid.chain.supervision import Cutter
from hybrid.cli.nnet import command
from hybrid.formats.kaldi_io import read_int_vectors
from hybrid.hmm import read_topology, read_transition_model
from hybrid.train.chain.chain_tree import _ChainTreeWork
from hybrid.train.chain.config import ChainTreeShifts
from hybrid.train.gmm.ladder import Start, load_alignments
from hybrid.train.gmm.ladder_config import ContextConfig
from hybrid.train.gmm.tree_of_corpus import corpus_tree_stats
from hybrid.tree import TreeStats, accumulate_tree_stats, read_tree


def test_statistics_are_of_every_third_frame(store, lang, model):
    start = Start(model, load_alignments(model.path, model), store, lang)
    context, usable = ContextConfig(context_width=2), start.usable()
    for shifts in (1, 3):
        work = _ChainTreeWork(model.transition_model, model.pipeline, context, (1,), {}, ChainTreeShifts(3, shifts))
        found = corpus_tree_stats(work, store, usable)
        parts = []
        for utterance, ids in usable.items():
            features = model.pipeline.features(store, utterance)
            phones, durations = phone_runs(ids, model.transition_model)
            for offset in range(shifts):
                kept = subsampled_durations(durations, 3, offset)
                assert kept is not None
                classes = chain_pdf_classes(kept)
                parts.append(accumulate_tree_stats(features[offset::3], phones, kept, classes, 2, 1, (1,)))
        wanted = TreeStats.merge(parts)
        np.testing.assert_array_equal(found.contexts, wanted.contexts)
        np.testing.assert_allclose(found.moments, wanted.moments)


def test_command(store, lang, model, tmp_path):
    out = tmp_path / "tree"
    words = ["chain-tree", "--model", model.path, "--ali", model.path, "--feats", store.path, "--lang", lang.path,
             "--max-leaves", 30, "--threshold", 10, "--out-dir", out]  # fmt: skip
    result = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0 and "leaves" in result.output
    tree = read_tree(out / "tree")
    transitions = read_transition_model(out / "transitions", tree)
    assert tree.context_width == 2 and tree.central_position == 1 and 4 < tree.num_pdfs <= 30
    assert read_topology(out / "topo").content_hash() == transitions.topology.content_hash()
    alignments = dict(read_int_vectors(out / "ali.gz"))
    assert sorted(alignments) == sorted(store.ids) and not (out / "failed.txt").read_text()
    first = alignments[store.ids[0]]
    assert len(first) == store.num_frames(store.ids[0])
    phones, _ = phone_runs(first[::3], transitions)
    before, _ = phone_runs(load_alignments(model.path, model)[store.ids[0]], model.transition_model)
    assert phones.tolist() == before.tolist()
    record = json.loads((out / "meta.json").read_text())
    assert record["kind"] == "chain-tree" and record["facts"]["subsampling_factor"] == 3


def test_denominator_and_supervision(store, lang, model, tmp_path):
    def run(*words: object) -> str:
        result = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    tree, den, sup = (tmp_path / name for name in ("tree", "den", "sup"))
    given = ["--model", model.path, "--ali", model.path]
    run("chain-tree", *given, "--feats", store.path, "--lang", lang.path, "--out-dir", tree)
    assert "perplexity" in run("chain-den", "--tree", tree, "--num-extra-lm-states", 5, "--out-dir", den)
    assert f"{len(store.ids)} utterances, 0 failed" in run("chain-sup", "--tree", tree, *given, "--out-dir", sup)
    _, part = load_chain_model(tree)
    cutter, made = Cutter(load_denominator(den, part)), Supervisions.open(sup, part)
    for utterance in made.ids:
        numerator = made[utterance]
        assert numerator.num_frames == store.num_frames(utterance)
        assert cutter.chunk(numerator, 1, numerator.num_frames - 1).num_arcs


def test_more_shifts_than_frames_are_refused():
    with pytest.raises(ValueError, match="shifts 4 are more than the subsampling factor 3"):
        ChainTreeShifts(3, 4)


def test_ways_to_speak(store, lang, model, tmp_path):
    tree, sup = tmp_path / "tree", tmp_path / "sup"
    given = ["--model", model.path, "--ali", model.path, "--feats", store.path, "--lang", lang.path]
    words = ["chain-tree", *given, "--out-dir", tree]
    assert CliRunner().invoke(command, [str(w) for w in words], catch_exceptions=False).exit_code == 0
    words = ["chain-sup", "--tree", tree, *given, "--ways-beam", 12, "--out-dir", sup]
    result = CliRunner().invoke(command, [str(w) for w in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    _, part = load_chain_model(tree)
    made, more = Supervisions.open(sup, part), 0
    for utterance, ids in load_alignments(model.path, model).items():
        numerator, nodes = made[utterance], {0}
        phones, _ = phone_runs(ids, model.transition_model)
        for phone in phones.tolist():
            nodes = {int(row[6]) for row in numerator.arcs if row[5] in nodes and row[0] == phone}
        assert nodes & set(numerator.finals.tolist())  # what was aligned is one of the ways
        more += len(numerator.arcs) > len(phones)
    assert made.timed and more > 10
