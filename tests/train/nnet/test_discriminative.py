"""Training on lattices: the objective rises, and what does not belong together is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hybrid.align.corpus_alignments import Aligner, align_corpus
from hybrid.base.artifact import write_meta
from hybrid.base.errors import HybridError, MismatchError
from hybrid.formats.kaldi_io import write_int_vectors
from hybrid.graph.training import TrainingGraphCompiler, compile_training_graphs
from hybrid.lattice.archive import write_lattices
from hybrid.lattice.lattice import Lattice
from hybrid.model.folder import load_model
from hybrid.nnet.losses import DiscriminativeConfig
from hybrid.train.nnet.average import kept_models
from hybrid.train.nnet.checkpoint import network_arrays
from hybrid.train.nnet.config import BatchConfig
from hybrid.train.nnet.discriminative import discriminative_task, lattice_arcs
from hybrid.train.nnet.finish import average_model
from hybrid.train.nnet.log import read_rows
from hybrid.train.nnet.run import train_network
from hybrid.train.nnet.sources import Item


def confused(ids: np.ndarray, other: np.ndarray) -> Lattice:
    """A lattice of two paths side by side, which may change at each frame."""
    frames = len(ids)
    return Lattice(
        row_splits=np.append(np.arange(frames + 1) * 2, frames * 2),
        next_states=np.repeat(np.arange(1, frames + 1), 2),
        transition_ids=np.stack([ids, other], axis=1).reshape(-1),
        word_ids=np.zeros(2 * frames, np.int32),
        graph_scores=np.zeros(2 * frames, np.float32),
        acoustic_scores=np.zeros(2 * frames, np.float32),
        final_graph_scores=np.append(np.full(frames, -np.inf), 0.0),
        final_acoustic_scores=np.append(np.full(frames, -np.inf), 0.0),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory, task, source, config, store, lang):
    """A network after a little training, lattices and alignments of its own."""
    folder = tmp_path_factory.mktemp("exp")
    short = replace(config, training=replace(config.training, epochs=1.0))
    model = train_network(task, source, folder / "xent", short)
    compiler = TrainingGraphCompiler(lang, model.transition_model)
    graphs, _ = compile_training_graphs(compiler, [(u, [lang.words[w] for w in store.text(u)]) for u in store.ids])
    found = align_corpus(
        Aligner(model.acoustic_model, model.transition_model, model.pipeline), store, graphs, store.ids
    )
    for name in ("ali", "lat"):
        (folder / name).mkdir()
    write_int_vectors(folder / "ali" / "ali.gz", found.items())
    write_meta(folder / "ali", "alignments", facts={k: model.hashes[k] for k in ("tree", "topo")})
    random = np.random.default_rng(0)
    lattices = [(u, confused(ids, random.permutation(ids))) for u, ids in found.items()]
    write_lattices(folder / "lat" / "lat.1.gz", lattices)
    write_meta(folder / "lat", "lattices", inputs={k: model.hashes[k] for k in ("tree", "topo")})
    return folder


@pytest.mark.parametrize("criterion", ["smbr", "mmi", "bmmi"])
def test_the_objective_rises(tmp_path, made, source, config, change, criterion) -> None:
    task = discriminative_task(made / "xent", made / "lat", made / "ali", DiscriminativeConfig(criterion, 1.0))
    settings = replace(change(config, "training", epochs=5.0), batches=BatchConfig(chunk_frames=(0,), batch_frames=400))
    settings = change(settings, "optimiser", learning_rate=0.003, final_learning_rate=0.001)
    model = train_network(task, source, tmp_path / "x", settings)
    rows = read_rows(model.path / "passes.tsv")
    assert rows[-1]["objective"] > rows[0]["objective"] and rows[-1]["left_out"] == 0
    if criterion == "smbr":
        assert 0 < rows[-1]["objective"] <= 1
    acoustic = model.acoustic_model
    np.testing.assert_array_equal(acoustic.log_prior, task.log_prior)  # and the same scores in decoding
    assert acoustic.acoustic_scale == 0.1 and acoustic.head == "xent"


def test_statistics_stay_those_that_were_trained_with(tmp_path, made, source, store, config, change) -> None:
    task = discriminative_task(made / "xent", made / "lat", made / "ali", DiscriminativeConfig("smbr", 1.0))
    settings = replace(
        change(config, "training", epochs=1.0, average=2), batches=BatchConfig(chunk_frames=(0,), batch_frames=400)
    )
    model = train_network(task, source, tmp_path / "smbr", settings)
    assert len(kept_models(tmp_path / "smbr")) > 1  # averaged, after which others' statistics are measured anew
    average_model(tmp_path / "smbr", tmp_path / "again", 2, False, source, torch.device("cpu"))
    for found in (model, load_model(tmp_path / "again")):
        values = network_arrays(found.acoustic_model.network)
        norms = [name for name in values if name.endswith((".mean", ".variance"))]
        assert norms
        for name in norms:
            np.testing.assert_allclose(values[name], task.start[name], rtol=1e-6, err_msg=name)
        np.testing.assert_array_equal(found.acoustic_model.log_prior, task.log_prior)


def test_arcs_of_a_lattice(model) -> None:
    ids, other = np.array([1, 2, 3]), np.array([4, 4, 4])
    arcs = lattice_arcs(confused(ids, other), model.transition_model)
    assert arcs.frame.tolist() == [0, 0, 1, 1, 2, 2]
    assert arcs.pdf.tolist() == model.transition_model.pdf_ids[[1, 4, 2, 4, 3, 4]].tolist()


def test_silence_counts_as_one(made, model, lang) -> None:
    config = DiscriminativeConfig()
    task = discriminative_task(made / "xent", made / "lat", made / "ali", config, silence_phones=lang.silence_phones)
    silence = np.isin(model.transition_model.phones, lang.silence_phones)
    assert len(set(task.objective.classes[model.transition_model.pdf_ids[silence]])) == 1
    assert len(set(task.objective.classes)) < model.tree.num_pdfs


def test_faults_are_named(made, source) -> None:
    targets = discriminative_task(made / "xent", made / "lat", made / "ali", DiscriminativeConfig()).targets
    item = source.items()[0][0]
    assert targets.fault(item) == ""
    assert targets.fault(replace(item, name="x")) == "has no lattice"
    count = item.frames
    wrong = replace(item, frames=count + 3)
    assert (
        targets.fault(wrong) == f"gives {count + 3} frames of scores, its lattice covers {count}, its alignment {count}"
    )
    assert isinstance(item, Item)


def test_lattices_of_another_model_are_refused(tmp_path, made) -> None:
    (tmp_path / "lat").mkdir()
    write_meta(tmp_path / "lat", "lattices", inputs={"tree": "0" * 64})
    with pytest.raises(MismatchError, match="different versions of the tree"):
        discriminative_task(made / "xent", tmp_path / "lat", made / "ali", DiscriminativeConfig())
    with pytest.raises(HybridError):
        discriminative_task(made / "xent", tmp_path / "none", made / "ali", DiscriminativeConfig())


def test_transition_ids_that_the_model_lacks_are_told(tmp_path, made, model) -> None:
    wrong = np.array([model.transition_model.num_transition_ids + 1] * 3)
    write_lattices(tmp_path / "lat.1.gz", [("u", confused(wrong, wrong))])
    write_meta(tmp_path, "lattices", inputs={k: model.hashes[k] for k in ("tree", "topo")})
    with pytest.raises(MismatchError, match=f", u: transition_id {wrong[0]} lies outside 0–"):
        discriminative_task(made / "xent", tmp_path, made / "ali", DiscriminativeConfig("smbr", 1.0))
