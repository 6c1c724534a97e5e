"""What a reader may rely on in the house: docstrings, sizes of functions, modules and rooms, one name for one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("hybrid", "lexicon", "lm")
SPLIT = ("train", "nnet", "lattice", "cli", "search")  # rooms of `hybrid` whose folders are rooms of their own
OWN_ROOMS = (["lm", "adaptation"], ["lm", "biasing"], ["lm", "g2p"], ["lm", "grammar"], ["lm", "neural"],
             ["lexicon", "words"])  # fmt: skip
FUNCTION, MODULE, ROOM = 60, 400, 3000  # lines; of rooms those that are not blank, docstrings and comments included
INNER = 6  # lines of a function inside another from which on it has a docstring

# Longer than FUNCTION, and why.
LONG = {
    "hybrid.lattice.determinize_kernels.determinize_arcs": "one compiled loop over subsets and their tables",
    "hybrid.lattice.mbr_kernels.edit_statistics": "one compiled recursion (Xu et al., 2011, figure 4)",
    "hybrid.nnet.sequence.cpu_sequences._one_sequence": "one compiled forward and backward pass",
    "hybrid.data.sets.write_set": "what makes one utterance fail, in the order in which it is looked for",
    "lm.arpa_kernels.parse_rows": "one compiled scanner of bytes",
    "lm.word_table.scan_words": "one compiled scanner of bytes",
}

# Names of modules that say what part of its room a module is, not what it is about.
ROLES = {"__init__", "acoustic", "build", "checkpoint", "config", "corpus", "data", "describe", "folder", "kernels",
         "log", "objective", "protocol", "reference", "report", "sources", "stages", "stats", "store",
         "topology"}  # fmt: skip


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name, path, ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        name = f"{prefix}.{getattr(node, 'name', '')}"
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield name, node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from functions(node, name)


def undocumented(tree: ast.Module, module: str) -> list[str]:
    """Returns the public classes, functions, methods and the module itself that have no docstring.

    A method of a class with bases may leave it to the one that it overrides.
    """
    bad = [] if ast.get_docstring(tree) or not tree.body else [module]
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.FunctionDef) and _overload(node):
            continue
        if not ast.get_docstring(node):
            bad.append(f"{module}.{node.name}")
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                public = isinstance(part, ast.FunctionDef) and not part.name.startswith("_") and not node.bases
                if public and not ast.get_docstring(part) and not _overload(part):
                    bad.append(f"{module}.{node.name}.{part.name}")
    return bad


def _overload(node: ast.FunctionDef) -> bool:
    """A second signature of what has its docstring elsewhere."""
    return any(ast.unparse(d).split(".")[-1] in ("setter", "overload") for d in node.decorator_list)


def test_public_things_have_docstrings():
    assert [name for module, _, tree in modules() for name in undocumented(tree, module)] == []


def inner_functions(node: ast.AST, inside: bool = False) -> Iterator[ast.FunctionDef]:
    for child in ast.iter_child_nodes(node):
        if inside and isinstance(child, ast.FunctionDef):
            yield child
        yield from inner_functions(child, inside or isinstance(child, ast.FunctionDef))


def test_longer_functions_inside_functions_have_docstrings():
    bare = [
        f"{module}: {node.name}, line {node.lineno}"
        for module, _, tree in modules()
        for node in inner_functions(tree)
        if node.end_lineno - node.lineno + 1 >= INNER and not ast.get_docstring(node)
    ]
    assert bare == []


def test_functions_are_short():
    long = {
        name: node.end_lineno - node.lineno + 1
        for module, _, tree in modules()
        for name, node in functions(tree, module)
        if node.end_lineno - node.lineno + 1 > FUNCTION
    }
    assert {name: size for name, size in long.items() if name not in LONG} == {}
    assert set(LONG) - set(long) == set(), "shorter now: take it off the list"


def test_modules_are_short():
    sizes = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path, _ in modules()}
    assert {module: size for module, size in sizes.items() if size > MODULE} == {}


def test_rooms_are_small():
    sizes: dict[str, int] = defaultdict(int)
    for module, path, _ in modules():
        parts = module.split(".")
        sub = (parts[0] == "hybrid" and parts[1] in SPLIT) or parts[:2] in OWN_ROOMS
        room = ".".join(parts[: 3 if sub and parts[0] == "hybrid" and len(parts) > 3 else 2])
        room = parts[0] if parts[0] != "hybrid" and parts[:2] not in OWN_ROOMS else room
        sizes[room] += sum(bool(line.strip()) for line in path.read_text(encoding="utf-8").splitlines())
    assert {room: size for room, size in sizes.items() if size > ROOM} == {}


def test_no_two_classes_have_one_name():
    found: dict[str, list[str]] = defaultdict(list)
    for module, _, tree in modules():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def test_no_two_modules_have_one_name_for_different_things():
    found: dict[str, list[str]] = defaultdict(list)
    for module, _, _ in modules():
        if not module.startswith("hybrid.cli."):  # one file a command group, called like the group
            found[module.split(".")[-1]].append(module)
    assert {name: where for name, where in found.items() if len(where) > 1 and name not in ROLES} == {}


def test_references_are_compared_with_what_they_explain():
    """Every function or module called a reference is named by a test."""
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    missing = []
    for module, _, tree in modules():
        names = [n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
        if module.endswith((".reference", "_reference")) and module not in tests:
            missing.append(module)
        missing += [f"{module}.{n}" for n in names if n.endswith("_reference") and n not in tests]
    assert missing == []


def test_only_kernels_go_without_types():
    """mypy leaves modules with compiled loops alone (setup.cfg), so that this holds what else is in them."""
    bare = []
    for module, _, tree in modules():
        for name, node in functions(tree, module):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            typed = node.returns is not None or all(a.annotation for a in given if a.arg not in ("self", "cls"))
            compiled = any("kernel" in ast.unparse(d) or "jit" in ast.unparse(d) for d in node.decorator_list)
            if not typed and not compiled:
                bare.append(name)
    assert bare == []
