"""Settings in YAML: sections, files named in it, what goes before what, and what is refused."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from hybrid.base.errors import InputError
from hybrid.cli.main import command
from hybrid.train.nnet.settings import settings_of


def test_what_is_given_goes_before_the_file(tmp_path) -> None:
    (tmp_path / "mfcc.yaml").write_text("num_ceps: 20\n")
    (tmp_path / "c.yaml").write_text(
        "network: {architecture: tdnnf, dim: 32}\nfeatures: mfcc.yaml\nchain: {l2: 0.1}\n"
        "training: {epochs: 2, heldout: 7}\naugment: {speeds: [0.9, 1.1]}\n"
    )
    found = settings_of(tmp_path / "c.yaml", {"epochs": 3.0, "seed": 5}, {"bottleneck_dim": 8})
    assert found.config.network == {"dim": 32, "bottleneck_dim": 8} and found.config.architecture == "tdnnf"
    assert (found.config.training.epochs, found.config.training.heldout, found.config.training.seed) == (3.0, 7, 5)
    assert found.config.augment.speeds == (0.9, 1.1) and found.chain.l2 == 0.1 and found.features.num_ceps == 20
    assert settings_of(None).subsampling_factor == 3


@pytest.mark.parametrize("text, message", [
    ("optimizer: {}", "unknown section 'optimizer'. Sections are: network, features, cmvn, chain, full_sum, augment, "),
    ("augment: 3", "section 'augment' holds no 'name: value' lines"),
    ("training: {epoch: 3}", "training: unknown setting 'epoch'"),
    ("training: {epochs: -3}", "training: epochs is -3, wanted more than 0"),
])  # fmt: skip
def test_what_is_refused(tmp_path, text, message) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        settings_of(tmp_path / "c.yaml")


@pytest.mark.parametrize("options, message", [
    ([], "--objective chain needs --tree, --den, --sup; --tree is missing"),
    (["--objective", "xent", "--model", "m"], "--objective xent needs --model, --ali; --ali is missing"),
    (["--set", "dim"], "--set: 'dim' is not NAME=VALUE"),
])  # fmt: skip
def test_what_the_command_refuses(tmp_path, options, message) -> None:
    result = CliRunner().invoke(command, ["nnet", "train", "--out-dir", str(tmp_path / "x"), *options])
    assert result.exit_code != 0 and message in (result.output + str(result.exception))


def test_features_of_other_settings_than_wanted_are_refused(tmp_path, store, model) -> None:
    (tmp_path / "c.yaml").write_text("features: {num_ceps: 20}")
    given = ["--objective", "xent", "--model", model.path, "--ali", model.path, "--feats", store.path]
    words = ["nnet", "train", "--config", tmp_path / "c.yaml", *given, "--out-dir", tmp_path / "x"]
    result = CliRunner().invoke(command, [str(word) for word in words])
    message = f"{store.path}: holds other features than the section 'features' of --config wants: "
    assert result.exit_code != 0 and message in str(result.exception)
