"""Transformer language model: each token looks back over those before it (Vaswani et al. 2017; norms before layers)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lm.neural.config import NeuralLmConfig
from lm.neural.recurrent import masked_log_probs
from lm.neural.softmax import TiedSoftmax

__all__ = ["TransformerLm"]


class TransformerLm(nn.Module):
    """Layers of causal attention between an embedding and the softmax that shares it; positions are learnt."""

    def __init__(self, config: NeuralLmConfig, num_tokens: int) -> None:
        super().__init__()
        self.config = config
        self.softmax = TiedSoftmax(config, num_tokens)
        self.positions = nn.Parameter(torch.randn(config.positions, config.dim) * 0.02)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.norm, self.dropout = nn.LayerNorm(config.dim), nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor, lengths: Tensor, padded: bool = True) -> Tensor:
        """Returns the log-probability of each token after those before it; see `LstmLm.forward`."""
        hidden = self.hidden(tokens[:, :-1])
        return masked_log_probs(self.softmax, self.dropout(hidden), tokens[:, 1:], lengths)

    def hidden(self, tokens: Tensor) -> Tensor:
        """Returns what the softmax takes: float [N][T][dim], after each of the tokens [N][T].

        Past the number of positions, the window moves on by halves: what falls out of it is forgotten.
        """
        size = self.config.positions
        if tokens.shape[1] <= size:
            return self._window(tokens)
        half = size // 2
        parts = [self._window(tokens[:, :size])]
        for begin in range(size, tokens.shape[1], half):
            end = min(begin + half, tokens.shape[1])
            parts.append(self._window(tokens[:, end - size : end])[:, begin - end :])
        return torch.cat(parts, dim=1)

    def _window(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x = self.softmax.embed(tokens) * self.config.dim**0.5
        x = self.dropout(x + self.positions[:length].to(x.dtype))
        ahead = torch.full((length, length), float("-inf"), device=tokens.device).triu(1)
        for layer in self.layers:
            x = layer(x, ahead)
        return self.norm(x)


class _Layer(nn.Module):
    """Attention and a feed-forward part, each with its norm before it and its input added."""

    def __init__(self, config: NeuralLmConfig) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(config.dim, config.heads, dropout=config.dropout, batch_first=True)
        self.inner, self.outer = nn.Linear(config.dim, config.feed_forward), nn.Linear(config.feed_forward, config.dim)
        self.before, self.between = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, ahead: Tensor) -> Tensor:
        """Returns float [N][T][dim]; `ahead` [T][T] is -inf where a token would look ahead."""
        y = self.before(x)
        x = x + self.dropout(self.attention(y, y, y, attn_mask=ahead.to(y.dtype), need_weights=False)[0])
        return x + self.dropout(self.outer(torch.relu(self.inner(self.between(x)))))
