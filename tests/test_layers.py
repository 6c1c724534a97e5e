"""Imports go downwards only: the table of permitted edges of ARCHITECTURE, held against every import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("hybrid", "lexicon", "lm")

# room → what it may import: rooms, or single modules of one. A room is a package, or a folder or module of `hybrid` or
# of `hybrid.train`.
BASE = {"hybrid.base", "hybrid.formats"}
GROUND = BASE | {"lexicon", "lm", "hybrid.ids", "hybrid.agreement"}
HMM = GROUND | {"hybrid.tree", "hybrid.hmm"}
PROTOCOL = {"hybrid.model.protocol"}  # all that alignment and search know of a model
VALUES = HMM | {"hybrid.data", "hybrid.feats", "hybrid.fst", "hybrid.graph", "hybrid.lattice", "hybrid.timing"}
CORE = VALUES | PROTOCOL | {"hybrid.search", "hybrid.align"}
MODELS = {"hybrid.model", "hybrid.gmm", "hybrid.nnet"}
USERS = CORE | MODELS | {"hybrid.chain", "hybrid.decode", "hybrid.adapt", "hybrid.aligner", "hybrid.recogniser",
                         "hybrid.rescore", "hybrid.score", "hybrid.confidence", "hybrid.combination",
                         "hybrid.report"}  # fmt: skip
TRAININGS = {"hybrid.train.gmm", "hybrid.train.chain", "hybrid.train.nnet", "hybrid.train.lm"}
PERMITTED: dict[str, set[str]] = {
    "hybrid": set(),
    "hybrid.base": set(),
    "hybrid.formats": {"hybrid.base"},
    "hybrid.written": {"hybrid.base"},
    "lexicon": BASE | {"hybrid.written"},
    "lm": BASE | {"lexicon", "hybrid.fst"},
    "hybrid.ids": BASE,
    "hybrid.agreement": BASE | {"lexicon"},
    "hybrid.verify": BASE,
    "hybrid.tree": GROUND,
    "hybrid.hmm": GROUND | {"hybrid.tree"},
    "hybrid.data": GROUND,
    "hybrid.feats": GROUND | {"hybrid.data"},
    "hybrid.synth": GROUND | {"hybrid.data"},
    "hybrid.model": HMM | {"hybrid.data", "hybrid.feats"},
    "hybrid.gmm": HMM | {"hybrid.feats", "hybrid.model"},
    "hybrid.nnet": HMM | {"hybrid.feats", "hybrid.model"},
    "hybrid.fst": BASE,
    "hybrid.lanes": BASE,
    "hybrid.lookahead": BASE,
    "hybrid.graph": HMM | {"hybrid.fst"},
    "hybrid.lint": HMM | {"hybrid.fst", "hybrid.graph"},
    "hybrid.lattice": HMM,
    "hybrid.confidence": HMM | {"hybrid.lattice"},
    "hybrid.combination": HMM | {"hybrid.lattice"},
    "hybrid.search": HMM | {"hybrid.graph", "hybrid.lanes", "hybrid.lattice", "hybrid.lookahead"},
    "hybrid.timing": HMM | {"hybrid.lattice"},
    "hybrid.align": HMM | PROTOCOL | {"hybrid.feats", "hybrid.graph", "hybrid.timing"},
    "hybrid.chain": HMM | {"hybrid.fst", "hybrid.graph", "hybrid.lattice", "hybrid.timing", "hybrid.align"},
    "hybrid.decode": VALUES
    | {"hybrid.model", "hybrid.search", "hybrid.confidence", "hybrid.written", "hybrid.lookahead"},
    "hybrid.adapt": CORE | {"hybrid.model", "hybrid.gmm", "hybrid.decode"},
    "hybrid.aligner": CORE | {"hybrid.model", "hybrid.adapt"},
    "hybrid.recogniser": VALUES
    | {"hybrid.model", "hybrid.search", "hybrid.decode", "hybrid.adapt", "hybrid.confidence", "hybrid.rescore"},
    "hybrid.rescore": CORE,
    "hybrid.score": GROUND | {"hybrid.data", "hybrid.lattice", "hybrid.timing", "hybrid.confidence", "hybrid.rescore"},
    "hybrid.report": GROUND | {"hybrid.data", "hybrid.lattice", "hybrid.timing", "hybrid.confidence", "hybrid.score"},
    "hybrid.train": set(),
    "hybrid.train.gmm": USERS,
    "hybrid.train.chain": USERS | {"hybrid.train.gmm"},
    "hybrid.train.nnet": USERS | {"hybrid.train.gmm"},
    "hybrid.train.lm": GROUND | {"hybrid.train.gmm", "hybrid.train.nnet"},
    "hybrid.doctor": BASE,
    "hybrid.rehearsal": BASE,
    "hybrid.cli": USERS
    | TRAININGS
    | {"hybrid.synth", "hybrid.doctor", "hybrid.rehearsal", "hybrid.verify", "hybrid.written", "hybrid.lint"},
}


def room_of(module: str) -> str | None:
    """Returns the room of a dotted module name, None for what is not ours."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return None
    return parts[0] if parts[0] != "hybrid" else ".".join(parts[: 3 if parts[1:2] == ["train"] else 2])


def imports(path: Path) -> list[tuple[int, str]]:
    """Returns (line, module) of every import in a file, also those inside functions."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"hybrid.{a.name}" for a in node.names] if node.module == "hybrid" else [node.module]
            found += [(node.lineno, name) for name in names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.append((node.lineno, "relative import"))
    return found


def violations(root: Path) -> list[str]:
    """Returns one line for each import that goes upwards or sideways."""
    bad = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            room = room_of(module) or module
            for line, target in imports(path):
                other = room_of(target)
                permitted = PERMITTED.get(room, set())
                if target == "relative import":
                    bad.append(f"{path.relative_to(root)}:{line}: relative import; wanted an absolute one")
                elif other is not None and other != room and not {other, target} & permitted:
                    bad.append(f"{path.relative_to(root)}:{line}: {room} may not import {target}")
    return bad


def test_every_import_goes_downwards():
    assert violations(ROOT) == []


def test_every_room_is_in_the_table():
    rooms = {room_of(module_name(ROOT, p)) for k in PACKAGES for p in (ROOT / k).rglob("*.py")}
    assert rooms <= set(PERMITTED)
    assert set(PERMITTED) <= rooms, "gone: take it off the table"


def test_the_table_has_no_cycle():
    def reach(room: str, seen: set[str]) -> set[str]:
        for other in {room_of(module) or module for module in PERMITTED.get(room, set())} - seen:
            seen.add(other)
            reach(other, seen)
        return seen

    assert [room for room in PERMITTED if room in reach(room, set())] == []


def test_the_page_names_every_room_in_order():
    """docs/architecture.md: each room is in the drawing, and imports only rooms of lower rank."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    drawing, order = page.split("```")[3], page.partition("Order, lowest first: ")[2].partition(".")[0]
    names = {room: room.removeprefix("hybrid.").replace(".", "/") for room in PERMITTED if PERMITTED[room]}
    names["hybrid.base"] = "base"
    ranks = {name: n for n, group in enumerate(order.split(";")) for name in re.findall(r"`([a-z_/]+)`", group)}
    assert set(ranks) == set(names.values())
    assert [name for name in names.values() if not re.search(rf"(?<![\w/]){name}\b", drawing)] == []
    for room, permitted in PERMITTED.items():
        for other in {room_of(module) or module for module in permitted}:
            assert ranks[names[other]] < ranks[names[room]], f"{room} imports {other}"


def module_name(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def edges(root: Path) -> dict[str, set[str]]:
    """Returns module → the modules of ours that it imports, at its head or in a function; types alone do not count."""
    paths = {module_name(root, p): p for package in PACKAGES for p in sorted((root / package).rglob("*.py"))}

    def targets(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in paths else str(node.module) for name in whole)
        children = node.orelse if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else None
        for child in ast.iter_child_nodes(node) if children is None else children:
            yield from targets(child)

    return {
        name: {target for target in targets(ast.parse(path.read_text(encoding="utf-8"))) if target in paths} - {name}
        for name, path in paths.items()
    }


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Returns the modules that import themselves by way of others."""

    def reaches(module: str) -> set[str]:
        seen: set[str] = set()
        stack = [module]
        while stack:
            new = graph[stack.pop()] - seen
            seen |= new
            stack += new
        return seen

    return [module for module in graph if module in reaches(module)]


def test_no_module_imports_itself_by_way_of_others():
    assert circles(edges(ROOT)) == []


@pytest.mark.parametrize("back, found", [("import lm.one", True), ("def f():\n    from lm import one", True),
                                         ("if TYPE_CHECKING:\n    import lm.one", False)])  # fmt: skip
def test_a_circle_is_found(tmp_path, back, found):
    (tmp_path / "lm").mkdir()
    (tmp_path / "lm/one.py").write_text("from lm.two import a\n")
    (tmp_path / "lm/two.py").write_text(f"{back}\n")
    assert circles(edges(tmp_path)) == (["lm.one", "lm.two"] if found else [])


@pytest.mark.parametrize("line", ["import hybrid.search", "from hybrid.gmm import diag", "from . import x"])
def test_a_wrong_import_is_found(tmp_path, line):
    (tmp_path / "lexicon").mkdir()
    (tmp_path / "lexicon" / "bad.py").write_text(f"{line}\n")
    assert len(violations(tmp_path)) == 1


FOREIGN = {
    "hybrid/base/compiled.py",
    "hybrid/feats/lhotse_reference.py",
}  # numba's and lhotse's, which offer no other way
OURS_ANYWHERE = {"_replace", "_fields", "_asdict", "_exit"}  # public, whatever their names look like


def intrusions(tree: ast.AST) -> list[tuple[int, str]]:
    """Returns (line, name) where a private attribute is used outside the class, or the module, that defines it."""

    def private(name: str) -> bool:
        return name.startswith("_") and not name.startswith("__") and name not in OURS_ANYWHERE

    def defined(node: ast.ClassDef) -> set[str]:
        names = {n.name for n in ast.walk(node) if isinstance(n, ast.FunctionDef)}
        names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        return names | {
            n.attr for n in ast.walk(node)
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id in ("self", "cls")
        }  # fmt: skip

    found: list[tuple[int, str]] = []

    def visit(node: ast.AST, own: set[str]) -> None:
        if isinstance(node, ast.ClassDef):
            own = own | defined(node)
        if isinstance(node, ast.Attribute) and private(node.attr) and node.attr not in own:
            found.append((node.lineno, node.attr))
        for child in ast.iter_child_nodes(node):
            visit(child, own)

    visit(tree, set())
    return found


def test_nobody_uses_private_attributes_of_others():
    bad = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in FOREIGN
        for line, name in intrusions(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert bad == []


@pytest.mark.parametrize("code, found", [
    ("def f(x):\n    return x._y", True), ("class A:\n    def f(self, x):\n        return x._y", True),
    ("class A:\n    def __init__(self):\n        self._y = 1\n    def f(self, other):\n        return other._y", False),
])  # fmt: skip
def test_an_intrusion_is_found(code, found):
    assert bool(intrusions(ast.parse(code))) == found
