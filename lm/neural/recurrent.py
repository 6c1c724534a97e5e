"""LSTM language model (Sundermeyer, Schlüter and Ney 2012): a state holds all that was said."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lm.neural.config import NeuralLmConfig
from lm.neural.softmax import TiedSoftmax

__all__ = ["LstmLm"]


class LstmLm(nn.Module):
    """Layers of LSTM between an embedding and the softmax that shares it."""

    def __init__(self, config: NeuralLmConfig, num_tokens: int) -> None:
        super().__init__()
        self.config = config
        self.softmax = TiedSoftmax(config, num_tokens)
        self.lstm = nn.LSTM(config.dim, config.dim, config.layers, batch_first=True,
                            dropout=config.dropout if config.layers > 1 else 0.0)  # fmt: skip
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor, lengths: Tensor, padded: bool = True) -> Tensor:
        """Returns the log-probability of each token after those before it: float32 [N][T], 0 past the lengths.

        Args:
          tokens: int64 [N][1 + T], the first one a sentence end. lengths: int64 [N], up to T.
        """
        hidden = self.hidden(tokens[:, :-1])
        return masked_log_probs(self.softmax, self.dropout(hidden), tokens[:, 1:], lengths)

    def hidden(self, tokens: Tensor) -> Tensor:
        """Returns what the softmax takes: float [N][T][dim], after each of the tokens [N][T]."""
        return self.lstm(self.dropout(self.softmax.embed(tokens)))[0]

    def blank(self, count: int, device: torch.device) -> Tensor:
        """Returns states before anything was said: float [count][2][layers][dim]."""
        return torch.zeros(count, 2, self.config.layers, self.config.dim, device=device)

    def step(self, tokens: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Reads a token in each of some states.

        Args:
          tokens: int64 [N]. states: float [N][2][layers][dim].

        Returns:
          What the softmax takes, float [N][dim], and the states that follow.
        """
        h, c = (states[:, i].transpose(0, 1).contiguous() for i in (0, 1))
        out, (h, c) = self.lstm(self.softmax.embed(tokens)[:, None], (h, c))
        return out[:, 0], torch.stack([h.transpose(0, 1), c.transpose(0, 1)], dim=1)


def masked_log_probs(softmax: TiedSoftmax, hidden: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
    """Returns log-probabilities of targets [N][T] after hidden vectors [N][T][dim]; 0 past the lengths."""
    inside = torch.arange(targets.shape[1], device=targets.device) < lengths.to(targets.device)[:, None]
    found = softmax.log_probs(hidden[inside], targets[inside])
    return torch.zeros(targets.shape, device=targets.device).masked_scatter(inside, found)
