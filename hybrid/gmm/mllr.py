"""MLLR: affine transforms of means, one per class of Gaussians with data enough (Leggetter and Woodland, 1995)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.base.errors import HybridError
from hybrid.gmm.adapt_config import MllrConfig
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.stats import GmmStats

__all__ = ["MllrConfig", "MllrTransforms", "RegressionTree", "estimate_mllr"]


@dataclass(frozen=True, eq=False)
class RegressionTree:
    """A binary tree over classes of Gaussians that sound alike.

    Attributes:
      classes: int64 [G], class of each Gaussian.
      parents: int64 [node], node 0 is the root and its own parent; the first `num_classes` entries of
        `leaves` name the node of each class.
      leaves: int64 [class], node of each class.
    """

    classes: np.ndarray
    parents: np.ndarray
    leaves: np.ndarray

    @property
    def num_classes(self) -> int:
        """How many classes of Gaussians share a transform."""
        return len(self.leaves)

    @classmethod
    def build(
        cls,
        model: AmDiagGmm,
        occupancy: np.ndarray,
        config: MllrConfig | None = None,
        silence_pdfs: Sequence[int] = (),
    ) -> RegressionTree:
        """Divides Gaussians by their means, the class with the largest spread first.

        Each division is along the direction in which the occupancy-weighted means of a class vary most, at
        their centre.

        Args:
          occupancy: float64 [G], frames of the data at hand: a model folder keeps none of the training data.
          silence_pdfs: their Gaussians are divided off first.
        """
        config = config or MllrConfig()
        weights = np.maximum(np.asarray(occupancy, np.float64), 1e-3)
        spread = np.sqrt(np.average(model.variances, axis=0, weights=weights))
        points = model.means / spread
        members = [np.arange(model.num_gaussians)]
        parents = [0]
        leaves = [0]
        silent = np.isin(model.gaussian_pdfs, np.asarray(silence_pdfs, np.int64))
        if silent.any() and not silent.all() and config.max_classes > 1:
            members += [np.flatnonzero(silent), np.flatnonzero(~silent)]
            parents, leaves = [0, 0, 0], [1, 2]
        while len(leaves) < config.max_classes:
            splits = [_divide(points[members[leaf]], weights[members[leaf]]) for leaf in leaves]
            best = int(np.argmax([gain for gain, _ in splits]))
            gain, side = splits[best]
            if gain <= 0:
                break
            node = leaves[best]
            leaves[best : best + 1] = [len(parents), len(parents) + 1]
            members += [members[node][side], members[node][~side]]
            parents += [node, node]
        classes = np.zeros(model.num_gaussians, np.int64)
        for number, leaf in enumerate(leaves):
            classes[members[leaf]] = number
        return cls(classes, np.array(parents), np.array(leaves))

    def assign(self, counts: np.ndarray, min_count: float) -> np.ndarray:
        """Returns for each class the lowest node at or above it that has data enough; −1 where none has.

        Args:
          counts: float64 [class], frames.
        """
        node_counts = np.zeros(len(self.parents))
        node_counts[self.leaves] = counts
        for node in range(len(self.parents) - 1, 0, -1):  # children come after their parents
            node_counts[self.parents[node]] += node_counts[node]
        chosen = np.full(self.num_classes, -1)
        for number, leaf in enumerate(self.leaves):
            node = int(leaf)
            while node and node_counts[node] < min_count:
                node = int(self.parents[node])
            if node_counts[node] >= max(min_count, 1e-8):
                chosen[number] = node
        return chosen

    def below(self, node: int) -> np.ndarray:
        """Returns bool [class]: whether each class is `node` or lies below it."""
        result = np.zeros(self.num_classes, bool)
        for number, leaf in enumerate(self.leaves):
            at = int(leaf)
            while at != node and at:
                at = int(self.parents[at])
            result[number] = at == node
        return result


def _divide(points: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Returns what dividing at the centre along the principal axis gains in squared distance, and the side of each."""
    if len(points) < 2:
        return 0.0, np.zeros(len(points), bool)
    centred = points - np.average(points, axis=0, weights=weights)
    _, axes = np.linalg.eigh((centred * weights[:, None]).T @ centred)
    side = centred @ axes[:, -1] > 0
    if side.all() or not side.any():
        return 0.0, side
    gain = sum(
        float(weights[part].sum() * (np.average(centred[part], axis=0, weights=weights[part]) ** 2).sum())
        for part in (side, ~side)
    )
    return gain, side


@dataclass(frozen=True, eq=False)
class MllrTransforms:
    """Transforms of means, by class of Gaussian.

    Attributes:
      matrices: float64 [class][D][D + 1]; the identity where data are too few.
      nodes: int64 [class], node of the tree whose data each was estimated from; −1 for the identity.
      gain: rise of the auxiliary function per frame.
    """

    matrices: np.ndarray
    nodes: np.ndarray
    gain: float

    def apply(self, model: AmDiagGmm, tree: RegressionTree) -> AmDiagGmm:
        """Returns the model with its means transformed."""
        extended = np.concatenate([model.means, np.ones((model.num_gaussians, 1))], axis=1)
        means = np.einsum("gij,gj->gi", self.matrices[tree.classes], extended)
        return AmDiagGmm.from_normal(model.row_splits, model.weights, means, model.variances)


def estimate_mllr(
    model: AmDiagGmm, stats: GmmStats, tree: RegressionTree, config: MllrConfig | None = None
) -> MllrTransforms:
    """Estimates transforms W of means, μ' = W [μ; 1], each row in closed form: w_d = k_d G_d⁻¹.

    k_d = Σ_j Σ_t γ x_d / σ²_jd μ⁺ᵀ and G_d = Σ_j γ_j / σ²_jd μ⁺ μ⁺ᵀ need no more than the statistics of EM.

    Args:
      stats: of one speaker's frames, accumulated with `model`.

    Raises:
      HybridError: statistics of another model.
    """
    config = config or MllrConfig()
    dim = model.dim
    if stats.sums.shape != model.inv_vars.shape or len(tree.classes) != model.num_gaussians:
        raise HybridError("MLLR: statistics, regression tree and model do not belong together. Make them again")
    counts = np.bincount(tree.classes, stats.occupancy, tree.num_classes)
    nodes = tree.assign(counts, config.min_count)
    extended = np.concatenate([model.means, np.ones((model.num_gaussians, 1))], axis=1)
    matrices = np.tile(np.eye(dim, dim + 1), (tree.num_classes, 1, 1))
    inverse_variances = model.inv_vars.astype(np.float64)
    gain = 0.0
    for node in np.unique(nodes[nodes >= 0]):
        rows = np.flatnonzero(tree.below(int(node))[tree.classes] & (stats.occupancy > 0))
        mu = extended[rows]
        weights = stats.occupancy[rows, None] * inverse_variances[rows]
        linear = (inverse_variances[rows] * stats.sums[rows]).T @ mu
        matrix = np.eye(dim, dim + 1)
        for d in range(dim):
            scatter = (mu * weights[:, d : d + 1]).T @ mu
            step = np.linalg.lstsq(scatter, linear[d] - scatter @ matrix[d], rcond=1e-10)[0]
            gain += _share(nodes, node, tree, rows, stats) * float(
                (linear[d] - scatter @ matrix[d]) @ step - 0.5 * step @ scatter @ step
            )
            matrix[d] = matrix[d] + step
        matrices[nodes == node] = matrix
    return MllrTransforms(matrices, nodes, gain / max(float(stats.occupancy.sum()), 1e-300))


def _share(nodes: np.ndarray, node: int, tree: RegressionTree, rows: np.ndarray, stats: GmmStats) -> float:
    """Returns which part of a node's data uses the node's own transform."""
    own = (nodes == node)[tree.classes[rows]]
    return float(stats.occupancy[rows][own].sum() / stats.occupancy[rows].sum())
