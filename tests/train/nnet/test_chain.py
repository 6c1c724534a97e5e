"""LF-MMI of a tiny network on a synthetic language: tree, denominator, supervision, training, a model that decodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.base.errors import HybridError, InputError, MismatchError
from hybrid.chain.config import PhoneLmConfig, SupervisionConfig
from hybrid.chain.denominator import compile_denominator
from hybrid.chain.folder import load_chain_model, phone_sequences, save_denominator
from hybrid.chain.phone_lm import estimate_phone_lm
from hybrid.model.folder import load_model
from hybrid.nnet.sequence.config import ChainConfig
from hybrid.train.chain.chain_tree import train_chain_tree
from hybrid.train.chain.config import ChainTreeConfig
from hybrid.train.chain.supervise import AlignedSource, supervise
from hybrid.train.gmm.ladder import Start, load_alignments
from hybrid.train.nnet.chain import chain_task
from hybrid.train.nnet.config import BatchConfig, OptimiserConfig, TrainingConfig
from hybrid.train.nnet.log import read_rows
from hybrid.train.nnet.run import NnetConfig, Task, train_network
from hybrid.train.nnet.sources import Item

SHORT = SupervisionConfig(left_tolerance=2, right_tolerance=2)
NETWORK = {"dim": 24, "bottleneck_dim": 8, "prefinal_dim": 8, "time_strides": [1, 3]}


@pytest.fixture(scope="session")
def chain(tmp_path_factory, model, store, lang) -> Path:
    """A folder with tree, den and sup of the synthetic language."""
    folder = tmp_path_factory.mktemp("chain")
    alignments = load_alignments(model.path, model)
    train_chain_tree(Start(model, alignments, store, lang), folder / "tree", ChainTreeConfig())
    transitions, part = load_chain_model(folder / "tree")
    phone_lm = estimate_phone_lm(phone_sequences(folder / "tree", transitions).values(), PhoneLmConfig())
    save_denominator(folder / "den", compile_denominator(phone_lm.fst, transitions), phone_lm, part, {})
    supervise(AlignedSource(alignments, model.transition_model, transitions), folder / "sup", SHORT, part)
    return folder


@pytest.fixture(scope="session")
def chain_config() -> NnetConfig:
    return NnetConfig(
        network=NETWORK,
        batches=BatchConfig(chunk_frames=(21,), batch_frames=168),
        optimiser=OptimiserConfig(learning_rate=0.01, final_learning_rate=0.001),
        training=TrainingConfig(epochs=4, heldout=4, threads=1),
    )


@pytest.fixture(scope="session")
def task(chain) -> Task:  # type: ignore[override]
    return chain_task(chain / "tree", chain / "den", chain / "sup", ChainConfig(leaky_hmm_coefficient=0.01), 3, False)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, task, source, chain_config):
    return train_network(task, source, tmp_path_factory.mktemp("exp") / "chain", chain_config)


def test_the_objective_rises_and_never_exceeds_zero(trained) -> None:
    rows = read_rows(trained.path / "passes.tsv")
    values = [row["heldout_objective"] for row in rows]
    assert values[-1] > values[0] and max(values) <= 0 and max(row["objective"] for row in rows) <= 0
    assert values[-1] > -0.6 and rows[-1]["left_out"] == 0


def test_the_model_scores_at_a_third_of_the_frame_rate_with_its_own_scales(trained, source) -> None:
    again = load_model(trained.path)
    acoustic = again.acoustic_model
    assert (acoustic.acoustic_scale, acoustic.transition_scale, acoustic.self_loop_scale) == (1.0, 1.0, 1.0)
    assert acoustic.head == "chain" and acoustic.log_prior is None
    utterance = source.store.ids[0]
    scores = again.scores(source.pipeline.features(source.store, utterance))
    assert len(scores) == -(-source.store.num_frames(utterance) // 3)


def test_it_recognises_its_training_language(tmp_path, trained, store, lang) -> None:
    from hybrid.align.corpus_alignments import Aligner, align_corpus
    from hybrid.graph.training import TrainingGraphCompiler, compile_training_graphs

    compiler = TrainingGraphCompiler(lang, trained.transition_model)
    words = [(u, [lang.words[w] for w in store.text(u)]) for u in store.ids]
    graphs, _ = compile_training_graphs(compiler, words)
    aligner = Aligner(trained.acoustic_model, trained.transition_model, trained.pipeline)
    assert len(align_corpus(aligner, store, graphs, store.ids)) == len(store.ids)


def test_chunks_are_no_more_probable_than_everything(task, source, trained) -> None:
    item = source.items()[0][0]
    targets, rate = task.targets, task.objective
    scores = torch.randn(1, 7, trained.tree.num_pdfs, generator=torch.Generator().manual_seed(1))
    for start in range(0, item.frames - 21):
        graph = targets.together([targets.of_chunk(item, start, 21)])
        output = type("Output", (), {"chain": scores, "xent": None, "lengths": torch.tensor([7])})
        parts = replace(rate, config=ChainConfig(leaky_hmm_coefficient=0.0, xent_weight=0.0))(output, graph)
        assert parts.figures["objective"] <= 1e-4


def test_an_utterance_at_another_speed_gets_the_supervision_stretched(task, source) -> None:
    item = source.items()[0][0]
    slow = Item(f"sp0.9-{item.name}", item.name, "s", 0.9, round(item.frames / 0.9), 1.0)
    assert task.targets.fault(slow) == ""
    assert task.targets.of_chunk(slow, 0, 21).num_frames == 7
    wrong = replace(slow, frames=2 * item.frames)
    assert task.targets.fault(wrong).endswith(f"at speed 0.9, its supervision {item.frames}")
    assert "has no supervision" in task.targets.fault(replace(slow, name="x", utterance="x"))


def test_what_does_not_belong_together_is_refused(tmp_path, chain, model) -> None:
    with pytest.raises(InputError, match="is for one frame of scores in 3 of the features, the network has one in 2"):
        chain_task(chain / "tree", chain / "den", chain / "sup", ChainConfig(), 2, False)
    with pytest.raises(InputError, match="gives phone .* states; wanted one state with a self-loop"):
        chain_task(model.path, chain / "den", chain / "sup", ChainConfig(), 3, False)
    with pytest.raises(HybridError, match="supervision"):
        chain_task(chain / "tree", chain / "den", tmp_path, ChainConfig(), 3, False)


def test_a_denominator_of_another_tree_is_refused(tmp_path, chain) -> None:
    import json
    import shutil

    shutil.copytree(chain / "den", tmp_path / "den")
    meta = json.loads((tmp_path / "den" / "meta.json").read_text())
    meta["inputs"]["tree"] = "0" * 64
    (tmp_path / "den" / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(MismatchError, match="different versions of the tree"):
        chain_task(chain / "tree", tmp_path / "den", chain / "sup", ChainConfig(), 3, False)


def test_whole_utterances_can_be_trained_on(tmp_path, chain, source, chain_config) -> None:
    whole = chain_task(chain / "tree", chain / "den", chain / "sup", ChainConfig(), 3, True)
    config = replace(chain_config, batches=BatchConfig(chunk_frames=(0,), batch_frames=400, buckets=3),
                     training=replace(chain_config.training, epochs=2.0))  # fmt: skip
    model = train_network(whole, source, tmp_path / "x", config)
    rows = read_rows(model.path / "passes.tsv")
    assert rows[-1]["objective"] > rows[0]["objective"]


def test_a_network_without_the_second_head(tmp_path, chain, source, chain_config) -> None:
    alone = chain_task(chain / "tree", chain / "den", chain / "sup", ChainConfig(), 3, False)
    network = {**chain_config.network, "xent": False}
    with pytest.raises(InputError, match="network: has no head 'xent', which LF-MMI trains"):
        train_network(alone, source, tmp_path / "x", replace(chain_config, network=network))
    none = replace(alone, objective=replace(alone.objective, config=ChainConfig(xent_weight=0.0)))
    short = replace(chain_config, network=network, training=replace(chain_config.training, epochs=0.5))
    assert np.isfinite(train_network(none, source, tmp_path / "y", short).scores(np.zeros((9, 5), np.float32))).all()
