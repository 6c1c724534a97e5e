"""What is made of a trained network: averages with their own statistics, priors."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from hybrid.base.artifact import read_meta
from hybrid.base.errors import InputError
from hybrid.cli.main import command
from hybrid.formats.tensors import load_arrays
from hybrid.model.folder import load_model
from hybrid.train.nnet.average import keep_model, kept_models
from hybrid.train.nnet.describe import describe
from hybrid.train.nnet.finish import average_model, renew_prior
from hybrid.train.nnet.run import train_network

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, task, source, config):
    return train_network(task, source, tmp_path_factory.mktemp("exp") / "xent", config)


def test_an_average_is_one_and_has_statistics_of_its_own(tmp_path, trained, source) -> None:
    assert average_model(trained.path, tmp_path / "plain", 3, False, None, CPU) == [4, 5, 6]
    assert average_model(trained.path, tmp_path / "renewed", 3, False, source, CPU) == [4, 5, 6]
    plain, renewed = (load_arrays(tmp_path / name / "final.safetensors")[0] for name in ("plain", "renewed"))
    kept = [load_arrays(trained.path / "checkpoints" / f"000{n}.safetensors")[0] for n in (4, 5, 6)]
    name = "layers.0.affine.weight"
    np.testing.assert_allclose(plain[f"nnet.{name}"], np.mean([k[name] for k in kept], 0), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(plain[f"nnet.{name}"], renewed[f"nnet.{name}"])
    assert not np.array_equal(plain["nnet.layers.1.norm.mean"], renewed["nnet.layers.1.norm.mean"])
    again = load_model(tmp_path / "renewed")
    assert np.exp(again.acoustic_model.log_prior.astype(float)).sum() == pytest.approx(1, abs=1e-5)
    assert read_meta(tmp_path / "renewed")["facts"]["averaged"] == [4, 5, 6]


def test_an_average_of_too_many_takes_what_is_there(tmp_path, trained) -> None:
    assert average_model(trained.path, tmp_path / "x", 50, True, None, CPU) != []


def test_priors_are_measured_anew(tmp_path, trained, source) -> None:
    renew_prior(trained.path, tmp_path / "x", source, CPU)
    old, new = trained.acoustic_model.log_prior, load_model(tmp_path / "x").acoustic_model.log_prior
    assert np.exp(new.astype(float)).sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(np.exp(old), np.exp(new), atol=0.05)


def test_a_model_that_computes_in_fewer_bits_is_written(tmp_path, trained) -> None:
    words = ["nnet", "precision", str(trained.path), "--to", "int8", "--out-dir", str(tmp_path / "x")]
    assert CliRunner().invoke(command, words, catch_exceptions=False).exit_code == 0
    again, before = load_model(tmp_path / "x").acoustic_model, trained.acoustic_model
    assert again.precision == "int8" and before.precision == "float32"
    for name, value in before.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], value)


def test_a_folder_without_network_is_told(tmp_path, model) -> None:
    for use in (lambda: average_model(model.path, tmp_path / "x", 1, False, None, CPU), lambda: describe(model.path)):
        with pytest.raises(InputError, match="holds no network"):
            use()


def test_what_a_folder_holds_is_described(trained) -> None:
    found = describe(trained.path)
    assert found["architecture"] == "tdnnf" and found["left_context"] == 3 and found["head"] == "xent"
    assert found["kept"] == "1 2 3 4 5 6" and float(str(found["heldout_accuracy"])) > 0.6


@pytest.mark.parametrize("name, content, text", [
    ("passes.tsv", b"number\nx\n", "passes.tsv: holds no usable table of measurements"),
    ("passes.tsv", b"number\n\xff\n", "passes.tsv:2: byte 0xff is not UTF-8 text"),
    ("checkpoints/0001.safetensors", b"\xff" * 20, "0001.safetensors: cannot be read as safetensors"),
])  # fmt: skip
def test_damage_in_what_a_training_kept_is_told(tmp_path, trained, name, content, text) -> None:
    folder = shutil.copytree(trained.path, tmp_path / "x")
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=text):
        describe(folder)


def test_what_a_kill_left_is_no_kept_model_and_goes(tmp_path, trained) -> None:
    folder = shutil.copytree(trained.path, tmp_path / "x")
    left = shutil.copy(folder / "checkpoints/0006.safetensors", folder / "checkpoints/.tmp1-a-b.0006.safetensors")
    assert [each.number for each in kept_models(folder)] == [1, 2, 3, 4, 5, 6]
    keep_model(folder, load_model(folder).acoustic_model.network, 7, 0.0, 6, False)
    assert [each.number for each in kept_models(folder)] == [2, 3, 4, 5, 6, 7] and not left.exists()
