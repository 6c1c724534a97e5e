"""Adaptive softmax whose embeddings are shared by input and output (Grave et al. 2017; Baevski and Auli 2019).

Tokens are sorted by how often they are said. The frequent ones, and a class for each cluster of rarer ones, share the
first softmax; a cluster has its own, over embeddings of fewer values. So most tokens cost a small matrix product, and
the many rare ones few parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lm.neural.config import NeuralLmConfig

__all__ = ["TiedSoftmax"]


class TiedSoftmax(nn.Module):
    """Embeds tokens, and gives their log-probabilities after a hidden vector."""

    def __init__(self, config: NeuralLmConfig, num_tokens: int) -> None:
        super().__init__()
        ends = [c for c in config.cutoffs if c < num_tokens] + [num_tokens]
        self.begins, self.ends, self.num_tokens = [0, *ends[:-1]], ends, num_tokens
        widths = [max(1, config.dim // config.shrink**i) for i in range(len(ends))]
        self.embeddings = nn.ParameterList(
            nn.Parameter(torch.randn(end - begin, width) * width**-0.5)
            for begin, end, width in zip(self.begins, self.ends, widths)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(b - a)) for a, b in zip(self.begins, self.ends))
        self.expand = nn.ModuleList(nn.Linear(width, config.dim, bias=False) for width in widths[1:])
        self.reduce = nn.ModuleList(nn.Linear(config.dim, width, bias=False) for width in widths[1:])
        self.classes = nn.Linear(config.dim, len(ends) - 1) if len(ends) > 1 else None

    def embed(self, tokens: Tensor) -> Tensor:
        """Returns float [...][dim] of int64 tokens [...]."""
        flat = tokens.reshape(-1)
        out = functional.embedding(flat.clamp(max=self.ends[0] - 1), self.embeddings[0])
        for i, expand in enumerate(self.expand, 1):
            rows = ((flat >= self.begins[i]) & (flat < self.ends[i])).nonzero().squeeze(1)
            rare = expand(functional.embedding(flat[rows] - self.begins[i], self.embeddings[i]))
            out = out.index_copy(0, rows, rare.to(out.dtype))
        return out.reshape(*tokens.shape, out.shape[-1])

    def log_probs(self, hidden: Tensor, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Returns float32 [N], the log-probability of a token after each hidden vector.

        Args:
          hidden: float [M][dim]. tokens: int64 [N].
          rows: int64 [N], after which vector each token is asked for; None: each after its own.
        """
        rows = torch.arange(len(tokens), device=tokens.device) if rows is None else rows
        first = self._first(hidden)
        out = first[rows, tokens.clamp(max=self.ends[0] - 1)]
        for i in range(1, len(self.ends)):
            places = ((tokens >= self.begins[i]) & (tokens < self.ends[i])).nonzero().squeeze(1)
            if not len(places):
                continue
            needed, own = rows[places].unique(return_inverse=True)
            inside = self._cluster(hidden[needed], i)[own, tokens[places] - self.begins[i]]
            out = out.index_copy(0, places, first[rows[places], self.ends[0] + i - 1] + inside)
        return out

    def all_log_probs(self, hidden: Tensor) -> Tensor:
        """Returns float32 [N][tokens], the log-probabilities of every token."""
        first = self._first(hidden)
        parts = [first[:, : self.ends[0]]]
        for i in range(1, len(self.ends)):
            parts.append(first[:, self.ends[0] + i - 1, None] + self._cluster(hidden, i))
        return torch.cat(parts, dim=1)

    def _first(self, hidden: Tensor) -> Tensor:
        """The first softmax: frequent tokens, then clusters."""
        logits = functional.linear(hidden, self.embeddings[0], self.biases[0])
        if self.classes is not None:
            logits = torch.cat([logits, self.classes(hidden)], dim=1)
        return logits.float().log_softmax(1)

    def _cluster(self, hidden: Tensor, i: int) -> Tensor:
        reduced = self.reduce[i - 1](hidden)
        return functional.linear(reduced, self.embeddings[i], self.biases[i]).float().log_softmax(1)
