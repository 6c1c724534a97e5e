"""What users of Kaldi type, and what stands beside a lattice file: said at once, or taken from its folder."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.base.errors import InputError
from hybrid.cli.main import command
from hybrid.lattice.archive import open_writer
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.lattice import Lattice, LatticeError
from hybrid.lattice.lattice_set import LatticeSet, SharedFacts, shared_facts
from hybrid.lattice.trim import from_rows
from hybrid.timing.lattice_alignment import align_lattice


def one() -> Lattice:
    columns = [np.array([0]), np.array([1]), np.array([3]), np.array([7]), np.zeros(1), np.zeros(1)]
    return Lattice.from_arcs(2, 0, columns, (np.array([-np.inf, 0.0]), np.array([-np.inf, 0.0])))


def compact() -> CompactLattice:
    return from_rows([(0, 1, 7, 0.0, 0.0, (3, 9))], {1: (0.0, 0.0, ())}, 2)


def test_a_file_of_a_folder_knows_what_the_folder_knows(tmp_path: Path) -> None:
    LatticeSet({"a": one()}, SharedFacts(acoustic_scale=0.25, frame_shift=0.03)).save(tmp_path / "set")
    whole, part = shared_facts(tmp_path / "set"), shared_facts(tmp_path / "set" / "lat.1.gz")
    assert (part.acoustic_scale, part.frame_shift) == (whole.acoustic_scale, whole.frame_shift) == (0.25, 0.03)


@pytest.mark.parametrize("names", [("ark:x.lat", "out.gz"), ("x.gz", "ark,t:-"), ("scp:x.scp", "out.gz")])
def test_names_of_kaldi_s_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str]) -> None:
    monkeypatch.chdir(tmp_path)
    LatticeSet({"a": one()}, SharedFacts()).save(tmp_path / "set")
    shutil.copy(tmp_path / "set" / "lat.1.gz", "x.gz")
    result = CliRunner().invoke(command, ["lattice", "copy", *names])
    assert result.exit_code and "is a name of Kaldi's for an archive. Give the file alone" in str(result.exception)
    assert not list(tmp_path.glob("ark*"))


def test_what_is_missing_is_said_to_be(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["lattice", "copy", str(tmp_path / "no.gz"), str(tmp_path / "out.gz")])
    assert "no.gz: does not exist. Give an archive" in str(result.exception)


def test_a_closed_standard_output_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with (
        pytest.raises(InputError, match="standard output: is closed. Leave it open, or name a file."),
        open_writer("-"),
    ):
        pass


def test_lattices_of_another_model_are_told() -> None:
    model = SimpleNamespace(phones=np.arange(4), is_self_loop=np.zeros(4, bool), is_final=np.ones(4, bool))
    with pytest.raises(LatticeError, match="has transition-id 9, and the model has 3"):
        align_lattice(compact(), model, {1: "singleton"})
