"""Context trees: statistics, questions, clustering, and the tree itself. Integers only, no topology."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybrid.tree.build import Root, TreeReport, build_tree, tree_objective
    from hybrid.tree.config import TreeConfig
    from hybrid.tree.context_tree import ContextTree
    from hybrid.tree.kaldi_tree import read_tree
    from hybrid.tree.nodes import PDF_CLASS_KEY
    from hybrid.tree.questions import Questions, find_questions, read_questions, write_questions
    from hybrid.tree.stats import TreeStats, accumulate_tree_stats, pdf_moments

__all__ = [
    "PDF_CLASS_KEY",
    "ContextTree",
    "Questions",
    "Root",
    "TreeConfig",
    "TreeReport",
    "TreeStats",
    "accumulate_tree_stats",
    "build_tree",
    "find_questions",
    "pdf_moments",
    "read_questions",
    "read_tree",
    "tree_objective",
    "write_questions",
]

# imported when first used, so that looking up settings costs nothing
_MODULES = {
    "PDF_CLASS_KEY": "nodes",
    "ContextTree": "context_tree",
    "Questions": "questions",
    "Root": "build",
    "TreeConfig": "config",
    "TreeReport": "build",
    "TreeStats": "stats",
    "accumulate_tree_stats": "stats",
    "build_tree": "build",
    "find_questions": "questions",
    "pdf_moments": "stats",
    "read_questions": "questions",
    "read_tree": "kaldi_tree",
    "tree_objective": "build",
    "write_questions": "questions",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"hybrid.tree.{_MODULES[name]}"), name)
