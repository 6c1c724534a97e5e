"""Whatever a command reads, a circle of links in its place is said to be that, not to be missing or of another kind."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from hybrid.base.errors import HybridError
from hybrid.cli.main import command

OUTPUTS = {"out_dir", "out", "output"}
BESIDE = {  # what a command asks for besides its required options
    "doctor": ["--verify", "LOOP"], "decode": ["--feats", "LOOP", "--out-dir", "O"], "align audio": ["--cuts", "LOOP"],
    "lang grapheme": ["--vocabulary", "LOOP"], "lm interpolate": ["LOOP", "--tune-on", "LOOP"],
    "lm adapt": ["--from", "LOOP"],
    "nnet train": ["--tree", "LOOP", "--den", "LOOP", "--sup", "LOOP", "--feats", "LOOP"],
    "nnet precision": ["--to", "int8"],
    "rescore ngram": ["--new-lm", "LOOP"], "rescore neural": ["--old-lm", "LOOP"],
    "rescore heard": ["--groups", "LOOP"],
    "rescore acoustic": ["--feats", "LOOP"],
    "gmm decode-fmllr": ["--feats", "LOOP"], "graph build": ["--sentences", "LOOP"],
    "graph compile": ["--grammar", "LOOP"], "lm tag": ["--class", "A=LOOP"],
    "combine tune": ["--words", "LOOP"], "lattice draw": ["--what", "lattice"], "lattice prune": ["--beam", "1"],
    "lang oov": ["--lexicon", "LOOP"], "lang sentencepiece": ["--model", "LOOP", "--vocabulary", "LOOP"],
    "score sweep": ["--tune-ref", "LOOP", "--tune-lattices", "LOOP"],
}  # fmt: skip


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yields every command with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))
        elif found is not None:
            yield " ".join((*path, name)), found


READING = {
    words: found
    for words, found in commands(command)
    if any(isinstance(p.type, click.Path) and p.name not in OUTPUTS for p in found.params)
}


@pytest.mark.parametrize("words", READING)
def test_a_circle_of_links_is_told(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "LOOP").symlink_to("LOOP")
    arguments = []
    for parameter in READING[words].params:
        is_path = isinstance(parameter.type, click.Path)
        if parameter.required and not {*parameter.opts} & {*BESIDE.get(words, [])}:
            value = "O" if parameter.name in OUTPUTS else "LOOP" if is_path else "1"
            arguments += [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]
    result = CliRunner().invoke(command, [*words.split(), *BESIDE.get(words, []), *arguments])
    assert isinstance(result.exception, (HybridError, SystemExit)), result.exception
    assert "too many levels of symbolic links" in f"{result.exception} {result.output}"
