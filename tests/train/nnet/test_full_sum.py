"""Full-sum training by its commands: from transcripts and features alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from hybrid.align.convert import phone_runs
from hybrid.chain.folder import load_chain_model
from hybrid.chain.full_sum import full_sum_acceptor
from hybrid.chain.store import Supervisions
from hybrid.cli.gmm import command as gmm
from hybrid.cli.nnet import command
from hybrid.formats.kaldi_io import read_int_vectors
from hybrid.model.folder import load_model
from hybrid.nnet.network import Output
from hybrid.nnet.sequence.arcs import Arcs, batch
from hybrid.nnet.sequence.reference import reference_passes
from hybrid.train.gmm.ladder import load_alignments
from hybrid.train.nnet.config import FullSumConfig
from hybrid.train.nnet.full_sum_training import FullSum
from hybrid.train.nnet.log import read_rows
from hybrid.train.nnet.sources import Item
from hybrid.train.nnet.tasks import cross_entropy_task

SETTINGS = """
network: {architecture: tdnnf, dim: 24, bottleneck_dim: 8, prefinal_dim: 8, time_strides: [1, 3]}
cmvn: {kind: speaker}
batches: {chunk_frames: [0], batch_frames: 400}
optimiser: {learning_rate: 0.01, final_learning_rate: 0.002}
training: {epochs: 6, heldout: 4, threads: 1}
"""


def run(*words: object) -> str:
    """Runs a command of `hybrid nnet`."""
    result = CliRunner().invoke(command, [str(word) for word in words])
    assert result.exit_code == 0, result.output or result.exception
    return result.output


@pytest.fixture(scope="module")
def flat(tmp_path_factory, store, lang) -> Path:
    """Tree of one pdf a phone, and the supervision of the texts."""
    folder = tmp_path_factory.mktemp("flat")
    given = ["--feats", store.path, "--lang", lang.path]
    run("chain-flat", *given, "--units", "state", "--out-dir", folder / "tree")
    run("chain-sup", "--tree", folder / "tree", *given, "--out-dir", folder / "sup")
    (folder / "full_sum.yaml").write_text(SETTINGS)
    return folder


def arguments(flat: Path, store, out_dir: Path) -> list[object]:
    """The command that trains."""
    return ["train", "--objective", "full-sum", "--config", flat / "full_sum.yaml", "--feats", store.path,
            "--tree", flat / "tree", "--sup", flat / "sup", "--out-dir", out_dir]  # fmt: skip


@pytest.fixture(scope="module")
def trained(flat, store) -> Path:
    """A model of full-sum training."""
    run(*arguments(flat, store, flat / "model"))
    return flat / "model"


def test_likelihood_rises_and_the_model_divides_by_its_prior(trained) -> None:
    rows = read_rows(trained / "passes.tsv")
    values = [row["heldout_objective"] for row in rows]
    assert values[-1] > values[0] and rows[-1]["left_out"] == 0
    acoustic = load_model(trained).acoustic_model
    assert acoustic.head == "xent" and acoustic.acoustic_scale == 0.3
    assert np.exp(acoustic.log_prior).sum() == pytest.approx(1.0, abs=1e-4)


def test_the_objective_is_the_sum_over_alignments_of_posteriors_over_priors(flat, store) -> None:
    model, part = load_chain_model(flat / "tree")
    supervisions = Supervisions.open(flat / "sup", part)
    name = store.ids[0]
    frames = supervisions.config.num_frames(supervisions[name].num_frames)
    config = FullSumConfig(prior_scale=0.5, transition_scale=0.7, loop_probability=0.6)
    acceptor = full_sum_acceptor(supervisions[name], frames, 0.6, 0.7)
    scores = torch.randn(2, frames + 2, model.num_pdfs, generator=torch.Generator().manual_seed(0))
    xent = torch.log_softmax(scores, -1).requires_grad_()
    lengths = torch.tensor([frames, frames])
    found = FullSum(config)(Output(None, xent, lengths), batch([Arcs(**acceptor.arrays)] * 2))
    posteriors = xent.detach()[:, :frames].double().numpy()
    prior = np.log(np.maximum(np.exp(posteriors).reshape(-1, model.num_pdfs).mean(axis=0), 1e-6))
    wanted = [reference_passes(row - 0.5 * prior, Arcs(**acceptor.arrays)) for row in posteriors]
    assert float(found.loss) == pytest.approx(-sum(total for total, _ in wanted), rel=1e-4)
    found.loss.backward()
    assert xent.grad is not None and not xent.grad[:, frames:].any()
    np.testing.assert_allclose(-xent.grad[0, :frames].numpy(), wanted[0][1], atol=1e-4)


def test_a_network_that_does_not_listen_gains_nothing_by_preferring_a_phone(flat, store) -> None:
    model, part = load_chain_model(flat / "tree")
    supervisions, config = Supervisions.open(flat / "sup", part), FullSumConfig()
    name = store.ids[0]
    frames = supervisions.config.num_frames(supervisions[name].num_frames)
    acceptor = full_sum_acceptor(supervisions[name], frames, config.loop_probability, config.transition_scale)
    losses = []
    for preference in (0.0, 3.0):  # for the first phone, silence, which is in every utterance
        scores = torch.zeros(1, frames, model.num_pdfs)
        scores[..., 0] = preference
        output = Output(None, torch.log_softmax(scores, -1), torch.tensor([frames]))
        losses.append(float(FullSum(config)(output, batch([Arcs(**acceptor.arrays)])).loss))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_its_alignment_takes_the_place_of_a_gmms(trained, store, lang, tmp_path) -> None:
    align = ["align", "--model", trained, "--feats", store.path, "--lang", lang.path, "--out-dir", tmp_path / "ali"]
    result = CliRunner().invoke(gmm, [str(word) for word in align])
    assert result.exit_code == 0, result.output
    given = ["--model", trained, "--ali", tmp_path / "ali"]
    run("chain-tree", *given, "--feats", store.path, "--lang", lang.path, "--out-dir", tmp_path / "tree")
    run("chain-sup", "--tree", tmp_path / "tree", *given, "--out-dir", tmp_path / "sup")
    model, part = load_chain_model(tmp_path / "tree")
    made = Supervisions.open(tmp_path / "sup", part)
    aligner = load_model(trained)
    slow = load_alignments(tmp_path / "ali", aligner)
    converted = dict(read_int_vectors(tmp_path / "tree" / "ali.gz"))
    assert sorted(slow.ids) == sorted(converted) == sorted(made.ids)
    for utterance, ids in slow.items():
        frames = store.num_frames(utterance)
        assert len(converted[utterance]) == frames and frames <= made[utterance].num_frames < frames + 3
        phones, durations = phone_runs(ids, aligner.transition_model)
        again = phone_runs(converted[utterance][::3], model)  # one frame in three of them: what the network said
        assert again[0].tolist() == phones.tolist() and again[1].tolist() == durations.tolist()
        assert made[utterance].arcs[1:, 1].tolist() == (3 * np.cumsum(durations)[:-1] - 1).tolist()
    words = ["chain-sup", "--tree", tmp_path / "tree", *given, "--feats", store.path, "--lang", lang.path]
    run(*words, "--ways-beam", 4, "--out-dir", tmp_path / "ways")
    ways = Supervisions.open(tmp_path / "ways", part)
    assert len(ways.ids) and all(ways[u].num_frames == store.num_frames(u) for u in ways.ids)
    targets = cross_entropy_task(trained, tmp_path / "ali", 0.0, 3).targets
    name = store.ids[0]
    item = Item(name, name, "", 1.0, store.num_frames(name), 0.0)
    assert not targets.fault(item)
    wanted = aligner.transition_model.pdf_ids[slow[name]]
    np.testing.assert_array_equal(targets.of_chunk(item, 0, item.frames), wanted)


@pytest.mark.parametrize("options, text", [
    (["--chunk-frames", "21"], "Set chunk_frames to 0"),
    (["--set", "subsampling_factor=1"], "is for one frame of scores in 3 of the features, the network has one in 1"),
    (["--loop-probability", "1"], "loop_probability is 1, wanted 0.001 to 0.999"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_refused(flat, store, tmp_path, options, text) -> None:
    result = CliRunner().invoke(command, [str(w) for w in [*arguments(flat, store, tmp_path / "m"), *options]])
    assert result.exit_code and text in f"{result.output} {result.exception}"
