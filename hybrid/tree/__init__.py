"""Context trees: statistics, questions, clustering, and the tree itself. Integers only, no topology."""

from hybrid.tree.context_tree import ContextTree
from hybrid.tree.nodes import PDF_CLASS_KEY

__all__ = ["PDF_CLASS_KEY", "ContextTree"]
