"""Which pairs of pdfs, for the arcs that leave a state and for its self-loop, occur together in some context."""

from __future__ import annotations

from hybrid.tree import PDF_CLASS_KEY, ContextTree
from hybrid.tree.nodes import Leaf, Node, Split

__all__ = ["pdf_pairs"]


def pdf_pairs(tree: ContextTree, phone: int, forward_class: int, loop_class: int) -> set[tuple[int, int]]:
    """Returns the (forward, self-loop) pdfs that some context gives a phone's state.

    Where the two classes differ, the tree is walked for one, and for the other under the contexts
    that led to each leaf of the first.
    """
    if forward_class == loop_class:
        return {(pdf, pdf) for pdf in tree.possible_pdf_ids(phone, forward_class)}
    anything: dict[int, frozenset[int] | None] = {tree.central_position: frozenset([phone])}
    pairs = set()
    for forward, constraints in _walk(tree.root, forward_class, anything):
        pairs |= {(forward, loop) for loop, _ in _walk(tree.root, loop_class, constraints)}
    return pairs


def _walk(root: Node, pdf_class: int, constraints: dict) -> list[tuple[int, dict]]:
    """Returns each leaf that can be reached with the constraints that its way adds.

    Constraints map a position of the window to the phones it may hold; a pair (False, phones) excludes phones.
    """
    found = []
    stack: list[tuple[Node | None, dict]] = [(root, constraints)]
    while stack:
        node, known = stack.pop()
        if isinstance(node, Leaf):
            found.append((node.pdf_id, known))
        elif node is None:
            continue
        elif node.key == PDF_CLASS_KEY:
            stack.append((_branch(node, pdf_class), known))
        elif isinstance(node, Split):
            values = frozenset(node.values)
            yes = _restrict(known.get(node.key), values, inside=True)
            no = _restrict(known.get(node.key), values, inside=False)
            if yes is not False:
                stack.append((node.yes, {**known, node.key: yes}))
            if no is not False:
                stack.append((node.no, {**known, node.key: no}))
        else:
            for value, child in enumerate(node.children):
                only = _restrict(known.get(node.key), frozenset([value]), inside=True)
                if only is not False:
                    stack.append((child, {**known, node.key: only}))
    return found


def _branch(node: Node, value: int) -> Node | None:
    if isinstance(node, Split):
        return node.yes if value in node.values else node.no
    if isinstance(node, Leaf):
        return node
    return node.children[value] if 0 <= value < len(node.children) else None


def _restrict(known: object, values: frozenset[int], inside: bool) -> object:
    """Intersects a constraint (None: all phones; a set; or ("not", set)) with a set or its complement."""
    if known is None:
        return values if inside else ("not", values)
    if isinstance(known, frozenset):
        return (known & values if inside else known - values) or False
    excluded = known[1]  # type: ignore[index]
    return ((values - excluded) or False) if inside else ("not", excluded | values)
