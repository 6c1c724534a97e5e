"""A tree for human eyes: indented questions, and a drawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from hybrid.tree.context_tree import ContextTree
from hybrid.tree.nodes import PDF_CLASS_KEY, Leaf, Node, Split, Table

__all__ = ["describe_tree", "draw_svg"]

_ROW = 20  # pixels from one node to the next
_INDENT = 18  # and from one level of the tree to the next
_CHAR = 6.2  # width of a character at the font size used


class _Names:
    """Words for keys and values."""

    def __init__(self, tree: ContextTree, symbols: Mapping[int, str] | None) -> None:
        self._central = tree.central_position
        self._symbols = symbols

    def key(self, key: int) -> str:
        if key == PDF_CLASS_KEY:
            return "pdf-class"
        offset = key - self._central
        return "phone" if offset == 0 else f"phone{offset:+d}"

    def value(self, key: int, value: int) -> str:
        if key == PDF_CLASS_KEY or self._symbols is None:
            return str(value)
        return "(none)" if value == 0 else self._symbols.get(value, str(value))

    def question(self, node: Split) -> str:
        values = " ".join(self.value(node.key, v) for v in node.values)
        return f"{self.key(node.key)} in {{{values}}}?"

    def branches(self, node: Table) -> Iterable[tuple[str, Node]]:
        for value, child in enumerate(node.children):
            if child is not None:
                yield f"{self.value(node.key, value)}", child


def describe_tree(tree: ContextTree, symbols: Mapping[int, str] | None = None) -> str:
    """Returns one line per node, each question indented below the answer that leads to it.

    Args:
      symbols: phone_id → name; ids are shown where absent.
    """
    names = _Names(tree, symbols)
    lines = [
        f"context of {tree.context_width}, central position {tree.central_position}, "
        f"{tree.num_pdfs} pdfs, at most {tree.depth} questions"
    ]

    def visit(node: Node, level: int, answer: str) -> None:
        """Writes a node and, further in, what lies below."""
        lead = "  " * level + answer
        if isinstance(node, Leaf):
            lines.append(f"{lead}pdf {node.pdf_id}")
        elif isinstance(node, Split):
            lines.append(lead + names.question(node))
            visit(node.yes, level + 1, "yes: ")
            visit(node.no, level + 1, "no: ")
        else:
            lines.append(f"{lead}{names.key(node.key)}:")
            for value, child in names.branches(node):
                visit(child, level + 1, f"{value}: ")

    visit(tree.root, 0, "")
    return "\n".join(lines) + "\n"


def draw_svg(tree: ContextTree, symbols: Mapping[int, str] | None = None, max_label: int = 80) -> str:
    """Returns an SVG drawing as an outline, a line for each node, branches further in: no tree is wider than a screen.

    Args:
      symbols: phone_id → name; ids are shown where absent.
      max_label: longer questions are cut to so many characters; the whole one shows under the pointer.
    """
    names = _Names(tree, symbols)
    shapes: list[str] = []
    edges: list[str] = []
    right, rows = 0.0, 0

    def box(level: int, label: str, title: str, kind: str, answer: str) -> None:
        """Draws one node in the next row, behind the answer that leads to it."""
        nonlocal right, rows
        x, y, width = _INDENT * level + _CHAR * len(answer), 12 + rows * _ROW, _CHAR * len(label) + 10
        shapes.append(
            f'<g class="{kind}"><title>{escape(title)}</title>'
            f'<rect x="{x:.1f}" y="{y - 8}" width="{width:.1f}" height="16" rx="{8 if kind == "leaf" else 3}"/>'
            f'<text x="{x + 5:.1f}" y="{y + 4}">{escape(label)}</text></g>'
        )
        if answer:
            shapes.append(f'<text class="answer" x="{_INDENT * level:.1f}" y="{y + 4}">{escape(answer)}</text>')
        right, rows = max(right, x + width), rows + 1

    def visit(node: Node, level: int, answer: str) -> int:
        """Draws a node and what lies below it; returns the node's row."""
        row = rows
        if isinstance(node, Leaf):
            box(level, str(node.pdf_id), f"pdf {node.pdf_id}", "leaf", answer)
            return row
        if isinstance(node, Split):
            title, branches = names.question(node), [("yes ", node.yes), ("no ", node.no)]
        else:
            title, branches = names.key(node.key), [(f"{value} ", child) for value, child in names.branches(node)]
        label = title if len(title) <= max_label else title[: max_label - 1] + "…"
        box(level, label, title, "question", answer)
        x = _INDENT * level + 6
        for reply, child in branches:
            below = visit(child, level + 1, reply)
            edges.append(f'<path d="M{x} {20 + row * _ROW}V{12 + below * _ROW}H{_INDENT * (level + 1) - 2}"/>')
        return row

    visit(tree.root, 0, "")
    style = (
        "text{font:10px sans-serif}.answer{fill:#777}path{stroke:#999;fill:none}"
        "rect{stroke:#456;fill:#eef4fb}.leaf rect{fill:#e9f6e4;stroke:#575}"
    )
    width, height = right + 20, 8 + rows * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        f'viewBox="-10 0 {width:.0f} {height}"><style>{style}</style>\n' + "\n".join([*edges, *shapes]) + "\n</svg>\n"
    )
