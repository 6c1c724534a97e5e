"""Full-sum training by its commands: from transcripts and features alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from hybrid.chain.folder import load_chain_model
from hybrid.chain.full_sum import full_sum_acceptor
from hybrid.chain.store import Supervisions
from hybrid.cli.nnet import command
from hybrid.model.folder import load_model
from hybrid.nnet.network import Output
from hybrid.nnet.sequence.arcs import Arcs, batch
from hybrid.nnet.sequence.reference import reference_passes
from hybrid.train.nnet.config import FullSumConfig
from hybrid.train.nnet.full_sum_training import FullSum
from hybrid.train.nnet.log import read_rows

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


def test_likelihood_rises_and_the_model_divides_by_its_prior(flat, store, tmp_path) -> None:
    run(*arguments(flat, store, tmp_path / "model"))
    rows = read_rows(tmp_path / "model" / "passes.tsv")
    values = [row["heldout_objective"] for row in rows]
    assert values[-1] > values[0] and rows[-1]["left_out"] == 0
    acoustic = load_model(tmp_path / "model").acoustic_model
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


@pytest.mark.parametrize("options, text", [
    (["--chunk-frames", "21"], "Set chunk_frames to 0"),
    (["--set", "subsampling_factor=1"], "is for one frame of scores in 3 of the features, the network has one in 1"),
    (["--loop-probability", "1"], "loop_probability is 1, wanted 0.001 to 0.999"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_refused(flat, store, tmp_path, options, text) -> None:
    result = CliRunner().invoke(command, [str(w) for w in [*arguments(flat, store, tmp_path / "m"), *options]])
    assert result.exit_code and text in f"{result.output} {result.exception}"
