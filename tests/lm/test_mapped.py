"""Models mapped into memory: same scores as from ARPA, and damage that would lead the scoring astray is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.base.errors import InputError
from hybrid.cli.main import command
from hybrid.formats.tensors import load_arrays, save_arrays
from lm.arpa import read_arpa
from lm.mapped_model import MappedModel, is_mapped, read_mapped, read_scorer

ARPA = """\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-99\t<s>\t-0.3
-0.9\t</s>
-0.5\tA\t-0.2
-0.6\tB\t-0.1
-1.2\tC

\\2-grams:
-0.2\t<s> A\t-0.4
-0.3\tA B\t-0.25
-0.5\tB A
-0.1\tB </s>

\\3-grams:
-0.05\t<s> A B
-0.15\tA B A

\\end\\
"""


@pytest.fixture
def mapped(tmp_path: Path) -> Path:
    (tmp_path / "a.arpa").write_text(ARPA)
    done = CliRunner().invoke(command, ["lm", "map", str(tmp_path / "a.arpa"), "--out", str(tmp_path / "a.map")])
    assert done.exit_code == 0 and done.output == f"{tmp_path / 'a.map'}: 5 / 4 / 2 n-grams\n"
    return tmp_path / "a.map"


def test_same_scores(mapped: Path) -> None:
    wanted, found = read_arpa(mapped.with_name("a.arpa")), read_mapped(mapped)
    assert found.vocabulary == wanted.vocabulary and found.order == 3
    ids = np.random.default_rng(0).choice([0, 2, 3, 4, 5], 300).astype(np.int32)
    ours, theirs = found.automaton.score(ids)[0], wanted.automaton.score(ids)[0]
    np.testing.assert_array_equal(ours, theirs)
    assert isinstance(read_scorer(mapped), MappedModel) and not isinstance(
        read_scorer(mapped.with_name("a.arpa")), MappedModel
    )
    assert is_mapped(mapped) and not is_mapped(mapped.with_name("a.arpa"))


@pytest.mark.parametrize(("name", "change", "message"), [
    ("children", lambda a: a + 1, "children of nodes overlap"), ("children", lambda a: a[:-1], "children is no int32"),
    ("children", lambda a: np.where(np.arange(len(a)) < 3, 1, a), "a node is its own child"),
    ("links", lambda a: a + 1, "a link leads forward"), ("words", lambda a: a + 9, "a word is not in the vocabulary"),
    ("log_probs", lambda a: a * np.nan, "a score is no number"), ("words", lambda a: a.astype(np.int64), "words is no"),
])  # fmt: skip
def test_damage(mapped: Path, name: str, change, message: str) -> None:  # type: ignore[no-untyped-def]
    arrays, facts = load_arrays(mapped)
    arrays[name] = change(arrays[name])
    arrays[name] = (
        arrays[name] if arrays[name].dtype == np.int64 else arrays[name].astype(load_arrays(mapped)[0][name].dtype)
    )
    save_arrays(mapped.with_name("bad"), arrays, facts)
    with pytest.raises(
        InputError, match=f"bad: holds no usable n-gram model .*{message}.*Make it again with `hybrid lm"
    ):
        read_mapped(mapped.with_name("bad"))


def test_files_of_another_kind(mapped: Path) -> None:
    whole = mapped.read_bytes()
    mapped.with_name("short").write_bytes(whole[:-20])
    save_arrays(mapped.with_name("other"), {"a": np.zeros(3)})
    for name in ("short", "other"):
        with pytest.raises(InputError, match=name):
            read_scorer(mapped.with_name(name))
