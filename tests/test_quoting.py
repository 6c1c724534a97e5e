"""Messages quote what files and users say through `errors.quote`: held against every message of the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("hybrid", "lexicon", "lm")

# Names of variables and attributes that hold text of a file or a user; numbers and our own words have other names.
FOREIGN = {
    "cell", "cells", "column", "columns", "entry", "field", "fields", "key", "label", "line", "oov_word",
    "piece", "speaker", "speakers", "symbol", "symbols", "text", "texts", "token", "tokens",
    "transcript", "utterance", "value", "values", "voice", "word", "words",
}  # fmt: skip
# What has such a name and is a number or made of our own words.
OWN = {
    ("hybrid/adapt/speakers.py", "speakers"), ("hybrid/align/texts.py", "words"), ("hybrid/base/config.py", "fields"),
    ("hybrid/base/log.py", "text"), ("hybrid/base/ranges.py", "value"), ("hybrid/cli/language/lm.py", "tokens"),
    ("hybrid/feats/pipeline.py", "value"), ("hybrid/timing/word_alignment.py", "label"),
    ("hybrid/lattice/compact.py", "columns"), ("hybrid/train/nnet/log.py", "value"),
    ("hybrid/train/lm/train_lm.py", "words"),
    ("hybrid/tree/build.py", "key"), ("hybrid/tree/context_tree.py", "key"), ("hybrid/tree/questions.py", "key"),
}  # fmt: skip
# Calls that make text of any length short and harmless, or a number of it.
HARMLESS = {"quote", "len", "int", "float", "round", "min", "max", "sum", "type", "name_fault"}
LOGS = {"debug", "info", "warning", "error"}


def is_message(call: ast.Call) -> bool:
    """Whether a call makes an error or a line of the log."""
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    return last.endswith(("Error", "Problem")) or name.endswith("Error.at") or ("log" in name.lower() and last in LOGS)


def foreign(expression: ast.expr) -> str:
    """The first name in an expression that holds foreign text and does not go through a harmless call."""
    if isinstance(expression, ast.Call):
        called = ast.unparse(expression.func).rpartition(".")[2]
        parts = [*expression.args, *(k.value for k in expression.keywords)]
        if called in HARMLESS:
            return ""
        if isinstance(expression.func, ast.Attribute):
            parts.append(expression.func.value)
        return next(filter(None, map(foreign, parts)), "")
    if isinstance(expression, ast.Name):
        return expression.id if expression.id in FOREIGN else ""
    if isinstance(expression, ast.Attribute):
        return expression.attr if expression.attr in FOREIGN else ""
    if isinstance(expression, (ast.JoinedStr, ast.BinOp, ast.BoolOp, ast.IfExp, ast.Subscript)):
        parts = [expression.value] if isinstance(expression, ast.Subscript) else list(ast.iter_child_nodes(expression))
        parts = parts[1:] if isinstance(expression, ast.IfExp) else parts  # not the condition
        return next(filter(None, (foreign(part) for part in parts if isinstance(part, ast.expr))), "")
    if isinstance(expression, ast.FormattedValue):
        return "" if expression.format_spec is not None else foreign(expression.value)  # numbers have a format
    return ""


def unquoted(path: Path) -> Iterator[str]:
    """Yields `FILE:LINE: NAME` for text that a message of a module holds as it came."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and is_message(node):
            for argument in node.args:
                found = "" if ast.unparse(argument).endswith("line") else foreign(argument)  # the number of a line
                if found and (str(path.relative_to(ROOT)), found) not in OWN:
                    yield f"{path.relative_to(ROOT)}:{argument.lineno}: {found}"


@pytest.mark.parametrize("package", PACKAGES)
def test_messages_quote_what_comes_from_files(package):
    found = [line for path in sorted((ROOT / package).rglob("*.py")) for line in unquoted(path)]
    assert not found, "\n".join(found)
