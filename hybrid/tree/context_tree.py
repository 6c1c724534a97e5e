"""ContextTree: which pdf_id a phone in context has in each of its pdf-classes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import HybridError
from hybrid.tree.lookup import FlatTree, flatten
from hybrid.tree.nodes import PDF_CLASS_KEY, Leaf, Node, Split, Table, iterate_nodes, stub_tree

__all__ = ["ContextTree"]


@dataclass(frozen=True)
class ContextTree:
    """A decision tree from (context window of phones, pdf-class) to pdf_id.

    Attributes:
      context_width: phones in a window: 1 monophone, 2 left biphone, 3 triphone, …
      central_position: index in the window of the phone that the HMM belongs to, counted from 0.
      root: the topmost node.
    """

    context_width: int
    central_position: int
    root: Node

    def __post_init__(self) -> None:
        if not 0 <= self.central_position < self.context_width:
            raise ValueError(
                f"central position {self.central_position} lies outside a context of {self.context_width} phones"
            )
        for node in iterate_nodes(self.root):
            if isinstance(node, Leaf):
                if node.pdf_id < 0:
                    raise ValueError(f"a leaf has pdf_id {node.pdf_id}; wanted 0 or more")
            elif node.key != PDF_CLASS_KEY and not 0 <= node.key < self.context_width:
                raise ValueError(
                    f"a question asks about position {node.key} of a context of {self.context_width} phones"
                )

    @classmethod
    def monophone(
        cls,
        phone_sets: Sequence[Sequence[int]],
        num_pdf_classes: Mapping[int, int],
        shared_roots: bool | Sequence[bool] = False,
    ) -> ContextTree:
        """Builds the tree of context-independent phones.

        The phones of a set share their pdfs (Kaldi's `gmm-init-mono --shared-phones`); one set per phone
        gives each its own. Pdfs are numbered set by set, and by pdf-class within a set.

        Args:
          phone_sets: disjoint sets of phone ids that together hold every phone.
          num_pdf_classes: phone_id → number of pdf-classes of its topology.
          shared_roots: whether all pdf-classes of a set share one pdf; one flag, or one per set.

        Raises:
          ValueError: the sets are not as described.
        """
        flags = [shared_roots] * len(phone_sets) if isinstance(shared_roots, bool) else list(shared_roots)
        sets = [sorted(int(p) for p in phones) for phones in phone_sets]
        return cls(1, 0, stub_tree(sets, num_pdf_classes, flags))

    @cached_property
    def num_pdfs(self) -> int:
        """One more than the highest pdf_id."""
        return 1 + max(node.pdf_id for node in iterate_nodes(self.root) if isinstance(node, Leaf))

    @cached_property
    def depth(self) -> int:
        """Questions on the longest way from the root to a leaf."""
        deepest, stack = 0, [(self.root, 0)]
        while stack:
            node, level = stack.pop()
            deepest = max(deepest, level)
            if isinstance(node, Split):
                stack += [(node.yes, level + 1), (node.no, level + 1)]
            elif isinstance(node, Table):
                stack += [(child, level + 1) for child in node.children if child is not None]
        return deepest

    @cached_property
    def _flat(self) -> FlatTree:
        return flatten(self.root)

    def pdf_id(self, context: Sequence[int], pdf_class: int) -> int:
        """Returns the pdf of a phone in context.

        Args:
          context: `context_width` phone ids; 0 beyond the ends of the utterance.
          pdf_class: of the HMM state, from 0.

        Raises:
          HybridError: the tree has no answer (a phone or pdf-class it was not built for).
        """
        if len(context) != self.context_width:
            raise ValueError(f"a context of {len(context)} phones for a tree over {self.context_width}")
        node: Node | None = self.root
        while node is not None:
            if isinstance(node, Leaf):
                return node.pdf_id
            value = pdf_class if node.key == PDF_CLASS_KEY else context[node.key]
            if isinstance(node, Split):
                node = node.yes if value in node.values else node.no
            else:
                node = node.children[value] if 0 <= value < len(node.children) else None
        raise HybridError(
            f"the tree has no pdf for phone {context[self.central_position]} in context {tuple(context)}, "
            f"pdf-class {pdf_class}; wanted a phone and topology that the tree was built for. "
            f"Use the lang folder that belongs to this tree"
        )

    def pdf_ids(self, contexts: np.ndarray, pdf_classes: np.ndarray) -> np.ndarray:
        """Looks up many phones in context at once.

        Args:
          contexts: int [N][context_width], phone ids.
          pdf_classes: int [N].

        Returns:
          int32 [N], the pdf_id of each, -1 where the tree has no answer.
        """
        contexts = np.asarray(contexts)
        if contexts.ndim != 2 or contexts.shape[1] != self.context_width:
            raise ValueError(f"contexts of shape {contexts.shape} for a tree over {self.context_width} phones")
        return self._flat.lookup(contexts, np.asarray(pdf_classes))

    def possible_pdf_ids(self, phone: int, pdf_class: int) -> tuple[int, ...]:
        """Returns the sorted pdfs that a phone's pdf-class has over all contexts."""
        return self.possible_pdf_ids_given({self.central_position: phone, PDF_CLASS_KEY: pdf_class})

    def possible_pdf_ids_given(self, known: Mapping[int, int]) -> tuple[int, ...]:
        """Returns the sorted pdfs that can be reached when only some keys are known.

        Args:
          known: position in the window (or PDF_CLASS_KEY) → its value.
        """
        found: set[int] = set()
        stack: list[Node | None] = [self.root]
        while stack:
            node = stack.pop()
            if isinstance(node, Leaf):
                found.add(node.pdf_id)
            elif isinstance(node, Split):
                if node.key in known:
                    stack.append(node.yes if known[node.key] in node.values else node.no)
                else:
                    stack += [node.yes, node.no]
            elif isinstance(node, Table):
                if node.key in known:
                    value = known[node.key]
                    stack.append(node.children[value] if 0 <= value < len(node.children) else None)
                else:
                    stack += node.children
        return tuple(sorted(found))

    def pad(self, phones: Sequence[int]) -> np.ndarray:
        """Returns the context window of every phone of a sequence: int32 [len(phones)][context_width]."""
        right = self.context_width - 1 - self.central_position
        padded = np.concatenate(
            [
                np.zeros(self.central_position, np.int32),
                np.asarray(phones, np.int32).reshape(-1),
                np.zeros(right, np.int32),
            ]
        )
        if len(padded) < self.context_width:
            return np.zeros((0, self.context_width), np.int32)
        return np.lib.stride_tricks.sliding_window_view(padded, self.context_width)

    def to_text(self) -> str:
        """Returns Kaldi's text form, byte by byte as `copy-tree --binary=false` writes it."""
        head = f"ContextDependency {self.context_width} {self.central_position} ToPdf "
        return f"{head}{_node_text(self.root)}EndContextDependency "

    def write(self, path: str | os.PathLike) -> None:
        """Writes Kaldi's text form, atomically."""
        with atomic_path(path) as temporary:
            Path(temporary).write_text(self.to_text(), encoding="ascii")

    def content_hash(self) -> str:
        """Returns the sha256 of the text form, which is also `artifact.content_hash` of the written file."""
        return hashlib.sha256(self.to_text().encode("ascii")).hexdigest()


def _node_text(node: Node | None) -> str:
    if node is None:
        return "NULL "
    if isinstance(node, Leaf):
        return f"CE {node.pdf_id} "
    if isinstance(node, Split):
        values = " ".join(map(str, node.values))
        return f"SE {node.key} [ {values} ]\n{{ {_node_text(node.yes)}{_node_text(node.no)}}} \n"
    return f"TE {node.key} {len(node.children)} ( {''.join(map(_node_text, node.children))}) \n"
