"""Cross-entropy training of a tiny network on a synthetic language, from features to a model that aligns."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hybrid.align.corpus_alignments import Aligner, align_corpus
from hybrid.base.artifact import read_meta
from hybrid.base.errors import HybridError, InputError
from hybrid.graph.training import TrainingGraphCompiler, compile_training_graphs
from hybrid.model.folder import load_model
from hybrid.nnet.network import Output
from hybrid.train.nnet.cross_entropy import NONE, AlignmentTargets, CrossEntropy, at_speed
from hybrid.train.nnet.describe import describe
from hybrid.train.nnet.log import read_rows
from hybrid.train.nnet.run import train_network
from hybrid.train.nnet.sources import Item
from hybrid.train.nnet.tasks import cross_entropy_task


def item(frames: int, speed: float = 1.0, name: str = "u") -> Item:
    return Item(name, "u", "s", speed, frames, frames / 100)


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_an_alignment_is_stretched_to_another_speed(speed) -> None:
    frames = round(90 / speed)
    under = at_speed(frames, 90, speed)
    assert len(under) == frames and under[0] == 0 and under[-1] >= 88 and (np.diff(under) >= 0).all()
    np.testing.assert_allclose(under, (np.arange(frames) + 0.5) * speed - 0.5, atol=1.5)


def test_targets_of_chunks_are_pdfs_at_a_third_of_the_frame_rate() -> None:
    targets = AlignmentTargets({"u": np.arange(20, dtype=np.int32)}, 3)
    found = [targets.of_chunk(item(20), 0, 12), targets.of_chunk(item(20), 11, 9)]
    assert targets.together(found).tolist() == [[0, 3, 6, 9], [11, 14, 17, NONE]]
    assert targets.of_chunk(item(20), 18, 2).tolist() == [18]


def test_an_alignment_of_the_speed_itself_goes_before_a_stretched_one() -> None:
    targets = AlignmentTargets({"u": np.zeros(10, np.int32), "sp0.5-u": np.ones(20, np.int32)}, 1)
    assert targets.of_chunk(item(20, 0.5, "sp0.5-u"), 0, 20).min() == 1


def test_faults_are_named() -> None:
    targets = AlignmentTargets({"u": np.zeros(100, np.int32)}, 3)
    assert targets.fault(item(100)) == "" and targets.fault(item(91, 1.1, "sp1.1-u")) == ""
    assert targets.fault(item(80)) == "has 80 frames at speed 1, its alignment 100"
    assert AlignmentTargets({}, 3).fault(item(9)) == "has no alignment"


def test_the_loss_is_worked_by_hand() -> None:
    log_posteriors = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]]))
    output = Output(None, log_posteriors, torch.tensor([2]))
    targets = np.array([[0, NONE]])
    plain = CrossEntropy()(output, targets)
    assert float(plain.loss) == pytest.approx(math.log(2)) and plain.frames == 1
    assert plain.figures == {"objective": pytest.approx(-math.log(2)), "accuracy": 1.0}
    smooth = CrossEntropy(0.1)(output, targets)
    assert float(smooth.loss) == pytest.approx(0.9 * math.log(2) + 0.1 * (math.log(2) + 2 * math.log(4)) / 3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, task, source, config):
    return train_network(task, source, tmp_path_factory.mktemp("exp") / "xent", config)


def test_the_objective_rises_and_the_model_scores(trained, source, model) -> None:
    rows = read_rows(trained.path / "passes.tsv")
    assert rows[-1]["heldout_objective"] > rows[0]["heldout_objective"] and rows[-1]["heldout_accuracy"] > 0.6
    assert rows[-1]["epoch"] == pytest.approx(3, abs=0.2)
    again = load_model(trained.path)
    utterance = source.store.ids[0]
    scores = again.scores(source.pipeline.features(source.store, utterance))
    assert scores.shape == (source.store.num_frames(utterance), model.tree.num_pdfs)
    assert np.exp(again.acoustic_model.log_prior.astype(float)).sum() == pytest.approx(1, abs=1e-5)


def test_the_folder_knows_what_it_was_made_from(trained) -> None:
    meta = read_meta(trained.path)
    assert meta["kind"] == "nnet" and {"alignments", "model", "features"} <= set(meta["inputs"])
    assert meta["facts"]["utterances"] == 36 and meta["facts"]["failed"] == 0
    assert len((trained.path / "heldout.txt").read_text().split()) == 4
    assert not (trained.path / "work").exists() and {"passes.tsv", "checkpoints/0006.safetensors"} <= set(meta["files"])


def test_the_model_aligns(trained, store, lang, texts) -> None:
    compiler = TrainingGraphCompiler(lang, trained.transition_model)
    words = [(u, [lang.words[w] for w in t.split()]) for u, t in texts.items()]
    graphs, _ = compile_training_graphs(compiler, words)
    aligner = Aligner(trained.acoustic_model, trained.transition_model, trained.pipeline)
    found = align_corpus(aligner, store, graphs, sorted(texts))
    assert len(found) == len(texts)


@pytest.mark.parametrize("network, wanted", [
    ({"layers": 1, "dim": 8, "heads": 2, "subsampling_factor": 1}, "context unlimited and unlimited"),
    ({"layers": 1, "dim": 8, "heads": 2, "kernel": 3, "look_back": 2, "look_ahead": 0,
      "subsampling_factor": 1}, "context 5 and 3"),
    ({}, "context 3 and 3"),
])  # fmt: skip
def test_the_log_tells_the_context_that_the_description_tells(tmp_path, task, source, config, caplog, network, wanted):
    caplog.set_level("INFO", logger="hybrid")
    short = replace(config, training=replace(config.training, epochs=0.2))
    if network:
        short = replace(short, architecture="conformer", network=network)
    model = train_network(task, source, tmp_path / "x", short)
    found = describe(model.path)
    assert f"context {found['left_context']} and {found['right_context']}" == wanted
    assert f"parameters, {wanted}\n" in caplog.text


def test_a_second_run_finds_it_finished(trained, task, source, config, caplog) -> None:
    before = (trained.path / "final.safetensors").read_bytes()
    train_network(task, source, trained.path, config)
    assert (trained.path / "final.safetensors").read_bytes() == before


def test_nan_features_cost_one_utterance(tmp_path, make_store, store, task, source, config, change) -> None:
    bad = store.ids[3]
    loaded = {u: (store.speaker(u), " ".join(store.text(u)), store.load(u).copy()) for u in store.ids}
    loaded[bad][2][5, 1] = np.nan
    broken = replace(source, store=make_store(loaded))
    model = train_network(task, broken, tmp_path / "x", change(config, "training", epochs=1.0))
    assert f"{bad} features: value 1 of frame 5 is nan" in (model.path / "failed.txt").read_text()


def test_no_alignment_fits(tmp_path, task, source, config) -> None:
    empty = replace(task, targets=AlignmentTargets({}, 1))
    with pytest.raises(HybridError, match=r"40 of 40 utterances cannot be trained on \(allowed: 50%, max_failed\); the "
                       "first, s0-u00: has no alignment"):  # fmt: skip
        train_network(empty, source, tmp_path / "x", config)


def test_patience_wants_held_out_data(tmp_path, task, source, config, change) -> None:
    with pytest.raises(ValueError, match="patience needs held-out data to measure on"):
        change(config, "training", heldout=0, patience=2)
    few = replace(source, store=source.store.subset(source.store.ids[:5]))
    with pytest.raises(InputError, match="a tenth of 5 utterances at speed 1 is none, and patience needs some"):
        train_network(task, few, tmp_path / "x", change(config, "training", patience=2))


def test_chunks_that_do_not_fit_the_network_are_refused(tmp_path, task, source, config) -> None:
    three = replace(config, network={**config.network, "subsampling_factor": 3, "time_strides": [1, 3]})
    with pytest.raises(
        InputError, match="chunk_frames: is 20, no multiple of the network's subsampling factor 3. Use 21."
    ):
        train_network(task, source, tmp_path / "x", three)


def test_a_head_that_is_absent_is_named(tmp_path, task, source, config) -> None:
    with pytest.raises(InputError, match="network: has no head 'chain', which cross-entropy trains. Set chain: true"):
        train_network(replace(task, head="chain"), source, tmp_path / "x", config)


def test_alignments_of_another_model_are_refused(tmp_path, model) -> None:
    with pytest.raises(InputError, match="ali.gz: is not there. Align first"):
        cross_entropy_task(model.path, tmp_path, 0.0, 1)
