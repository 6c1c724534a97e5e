"""Context trees: statistics, questions, clustering, and the tree itself. Integers only, no topology."""

from hybrid.tree.build import Root, TreeConfig, TreeReport, build_tree, tree_objective
from hybrid.tree.context_tree import ContextTree
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
    "tree_objective",
    "write_questions",
]
