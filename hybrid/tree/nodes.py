"""Nodes of a decision tree over phones in context, and the stub tree that every other tree grows from.

A node asks about one key of an event: a position of the context window (0 is the leftmost phone) or
the pdf-class (`PDF_CLASS_KEY`). An event is a context window of phones and a pdf-class. Phone 0 stands
for "no phone" beyond either end of an utterance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hybrid.base.errors import quote

__all__ = ["PDF_CLASS_KEY", "Leaf", "Node", "Split", "Table", "iterate_nodes", "stub_tree"]

PDF_CLASS_KEY = -1


@dataclass(frozen=True)
class Leaf:
    """A pdf_id."""

    pdf_id: int


@dataclass(frozen=True)
class Split:
    """A yes/no question: is the value of `key` in `values`?

    Attributes:
      key: position in the context window, or PDF_CLASS_KEY.
      values: sorted, distinct; phones, or pdf-classes where the key is PDF_CLASS_KEY.
    """

    key: int
    values: tuple[int, ...]
    yes: Node
    no: Node

    def __post_init__(self) -> None:
        if any(a >= b for a, b in zip(self.values, self.values[1:])):
            raise ValueError(f"values of a question must be sorted and distinct, found {quote(self.values)}")


@dataclass(frozen=True)
class Table:
    """A branch for each value of `key`; None where a value has none."""

    key: int
    children: tuple[Node | None, ...]


Node = Leaf | Split | Table


def iterate_nodes(root: Node) -> Iterator[Node]:
    """Yields every node, parents before children, yes before no."""
    stack: list[Node] = [root]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, Split):
            stack += [node.no, node.yes]
        elif isinstance(node, Table):
            stack += [child for child in reversed(node.children) if child is not None]


def stub_tree(
    phone_sets: Sequence[Sequence[int]],
    num_pdf_classes: Mapping[int, int],
    share_roots: Sequence[bool],
    central_position: int = 0,
) -> Node:
    """Builds the tree that separates sets of phones, and their pdf-classes where roots are not shared.

    Leaves are numbered in the order of the sets, and of pdf-classes within a set, as Kaldi's are.

    Args:
      phone_sets: disjoint, non-empty, each sorted.
      num_pdf_classes: phone_id → how many pdf-classes its topology has.
      share_roots: per set, whether all its pdf-classes start in one leaf.
      central_position: key that the sets are told apart by.

    Raises:
      ValueError: no sets, an empty or unsorted set, a phone in two sets or without pdf-classes.
    """
    sets = [tuple(int(p) for p in phones) for phones in phone_sets]
    _check_sets(sets, num_pdf_classes, share_roots)
    highest = max(p for phones in sets for p in phones)
    counter = iter(range(2**31))

    def one_set(index: int) -> Node:
        if share_roots[index]:
            return Leaf(next(counter))
        classes = max(num_pdf_classes[p] for p in sets[index])
        return Table(PDF_CLASS_KEY, tuple(Leaf(next(counter)) for _ in range(classes)))

    def build(begin: int, end: int) -> Node:
        """The tree over sets begin to end."""
        if end - begin == 1:
            return one_set(begin)
        if max(len(s) for s in sets[begin:end]) == 1 and end - begin <= 2 * highest:
            children: list[Node | None] = [None] * (1 + max(s[0] for s in sets[begin:end]))
            for index in range(begin, end):
                children[sets[index][0]] = one_set(index)
            return Table(central_position, tuple(children))
        middle = begin + (end - begin) // 2
        values = tuple(sorted(p for phones in sets[begin:middle] for p in phones))
        yes = build(begin, middle)
        return Split(central_position, values, yes, build(middle, end))

    return build(0, len(sets))


def _check_sets(
    sets: Sequence[tuple[int, ...]], num_pdf_classes: Mapping[int, int], share_roots: Sequence[bool]
) -> None:
    if not sets or len(sets) != len(share_roots):
        raise ValueError(f"{len(sets)} phone sets with {len(share_roots)} share-root flags; wanted one flag per set")
    seen: set[int] = set()
    for phones in sets:
        if not phones or list(phones) != sorted(set(phones)):
            raise ValueError(f"phone set {phones} must be non-empty, sorted and without repeats")
        if seen & set(phones):
            raise ValueError(f"phones {sorted(seen & set(phones))} are in two phone sets")
        seen.update(phones)
        for phone in phones:
            if phone < 1 or num_pdf_classes.get(phone, 0) < 1:
                raise ValueError(f"phone {phone} has no pdf-classes in the topology; wanted at least one")
