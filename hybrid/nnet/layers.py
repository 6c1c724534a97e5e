"""Parts that the networks share: frames beyond the edges, normalisation over frames, dropout over time, orthonormality.

Tensors are [N][D][T]: channels before time, the form in which PyTorch's convolutions are fastest on CPUs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = [
    "BatchNorm", "TimeDropout", "affine", "constrain_orthonormal_", "frames_inside", "linear", "log_posteriors",
    "orthonormality_error", "with_edges", "zeros_past_end",
]  # fmt: skip


def with_edges(features: Tensor, lengths: Tensor, left: int, right: int) -> Tensor:
    """Repeats the first frame before and the last frame after each utterance, as Kaldi's nnet3 does.

    Args:
      features: [N][T][D]; frames past an utterance's length are ignored.
      lengths: int64 [N].
      left, right: how often.

    Returns:
      [N][left + T + right][D]; past its right edge an utterance's last frame goes on.
    """
    index = torch.arange(-left, features.shape[1] + right, device=features.device)[None]
    index = torch.minimum(index.clamp(min=0), (lengths.to(features.device)[:, None] - 1).clamp(min=0))
    return torch.gather(features, 1, index[:, :, None].expand(-1, -1, features.shape[2]))


def frames_inside(lengths: Tensor, frames: int) -> Tensor:
    """Returns bool [N][frames]: whether a frame lies within its utterance."""
    return torch.arange(frames, device=lengths.device)[None] < lengths[:, None]


def zeros_past_end(values: Tensor, lengths: Tensor) -> Tensor:
    """Puts 0 for values [N][T][D] past each utterance's length."""
    inside = frames_inside(lengths.to(values.device), values.shape[1])[:, :, None]
    return torch.where(inside, values, torch.zeros((), dtype=values.dtype, device=values.device))


def log_posteriors(outputs: Tensor) -> Tensor:
    """Returns log-softmax over the last axis, in float32 at least."""
    return outputs.log_softmax(-1, dtype=torch.float32 if outputs.dtype in (torch.bfloat16, torch.float16) else None)


class BatchNorm(nn.Module):
    """Normalises each channel to mean 0 and variance 1 over the frames of a batch; no scale or offset is learnt.

    Frames outside the utterances do not count. In evaluation the running statistics take the batch's place.

    Attributes:
      momentum: weight of a batch in the running statistics; None: they are the mean over all batches since
        `reset_statistics`.
    """

    mean: Tensor
    variance: Tensor
    batches: Tensor

    def __init__(self, dim: int, epsilon: float = 1e-3, momentum: float | None = 0.1) -> None:
        super().__init__()
        self.epsilon, self.momentum = epsilon, momentum
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("variance", torch.ones(dim))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def reset_statistics(self) -> None:
        """Forgets the running statistics."""
        self.mean.zero_()
        self.variance.fill_(1.0)
        self.batches.zero_()

    def forward(self, values: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Normalises [N][D][T].

        Args:
          lengths: int64 [N], frames of each utterance that count; None: all.
        """
        if not self.training:
            return nn.functional.batch_norm(values, self.mean, self.variance, eps=self.epsilon)
        self.batches += 1
        weight = 1.0 / float(self.batches) if self.momentum is None else self.momentum
        if lengths is None or int(lengths.min()) >= values.shape[2]:
            return nn.functional.batch_norm(values, self.mean, self.variance, None, None, True, weight, self.epsilon)
        return self._masked(values, frames_inside(lengths, values.shape[2])[:, None].to(values), weight)

    def _masked(self, values: Tensor, inside: Tensor, weight: float) -> Tensor:
        count = inside.sum().clamp(min=1.0)
        values = values * inside
        mean = values.sum((0, 2)) / count
        centred = (values - mean[:, None]) * inside
        variance = centred.square().sum((0, 2)) / count
        with torch.no_grad():
            self.mean.lerp_(mean, weight)
            self.variance.lerp_(variance * count / (count - 1).clamp(min=1.0), weight)
        return centred * (variance + self.epsilon).rsqrt()[:, None]

    def scale_and_offset(self) -> tuple[Tensor, Tensor]:
        """Returns what evaluation computes as `values · scale + offset`, each [D]."""
        scale = (self.variance + self.epsilon).rsqrt()
        return scale, -self.mean * scale


class TimeDropout(nn.Module):
    """Multiplies each channel of an utterance by one random number for all frames (Povey et al. 2018, section 3.3).

    The numbers are uniform in [1 − 2 p, 1 + 2 p] with p the `proportion`, so that nothing changes on average.
    """

    def __init__(self, proportion: float) -> None:
        super().__init__()
        self.proportion = proportion

    def forward(self, values: Tensor) -> Tensor:
        """Applies it to [N][D][T] in training."""
        if not self.training or self.proportion == 0.0:
            return values
        noise = torch.rand(values.shape[0], values.shape[1], 1, dtype=values.dtype, device=values.device)
        return values * (1.0 + 2.0 * self.proportion * (2.0 * noise - 1.0))


def linear(in_dim: int, out_dim: int, width: int = 1, dilation: int = 1, stride: int = 1) -> nn.Conv1d:
    """Returns a linear map of `width` frames, weights N(0, 1 / inputs)."""
    layer = nn.Conv1d(in_dim, out_dim, width, stride=stride, dilation=dilation, bias=False)
    nn.init.normal_(layer.weight, 0.0, (in_dim * width) ** -0.5)
    return layer


def affine(
    in_dim: int, out_dim: int, width: int = 1, dilation: int = 1, stride: int = 1, zero: bool = False
) -> nn.Conv1d:
    """Returns an affine map of `width` frames: weights N(0, 1 / inputs) and biases N(0, 1), or all 0 (an output)."""
    layer = nn.Conv1d(in_dim, out_dim, width, stride=stride, dilation=dilation)
    assert layer.bias is not None
    if zero:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    else:
        nn.init.normal_(layer.weight, 0.0, (in_dim * width) ** -0.5)
        nn.init.normal_(layer.bias)
    return layer


def _rows(weight: Tensor) -> Tensor:
    """A convolution's weight as the matrix [out][in · width], transposed where it is taller than wide."""
    matrix = weight.flatten(1)
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T


@torch.no_grad()
def constrain_orthonormal_(weight: Tensor) -> None:
    """Moves a weight [out][in][width] one step towards a multiple of a semi-orthogonal matrix.

    Povey et al. 2018, section 2.2, with the floating scale of equation 5 and the caution of Kaldi's
    ConstrainOrthonormal: smaller steps while the matrix is far away.
    """
    matrix = _rows(weight)
    product = matrix @ matrix.T
    trace, trace_of_square = product.trace(), product.square().sum()
    scale = trace_of_square / trace  # the square of the paper's alpha
    ratio = float(trace_of_square * len(product) / trace.square())  # 1 where it is semi-orthogonal
    speed = 0.125 if ratio <= 1.02 else 0.0625 if ratio <= 1.1 else 0.03125
    product.diagonal().sub_(scale)
    matrix.sub_(product @ matrix * (4.0 * speed / scale))
    if matrix.data_ptr() != weight.data_ptr():
        weight.copy_((matrix if matrix.shape[0] == weight.shape[0] else matrix.T).reshape(weight.shape))


@torch.no_grad()
def orthonormality_error(weight: Tensor) -> float:
    """Returns |M Mᵀ − α² I| / |α² I| (Frobenius) of a weight [out][in][width], with the best α."""
    matrix = _rows(weight).double()
    product = matrix @ matrix.T
    scale = product.trace() / len(product)
    return float(
        (product - scale * torch.eye(len(product), dtype=product.dtype)).norm() / (scale * len(product) ** 0.5)
    )
