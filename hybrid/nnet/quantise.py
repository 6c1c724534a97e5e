"""Scoring with fewer bits on a CPU: weights of 8 bits with activations rounded as they come, or bfloat16 throughout."""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor, nn

from hybrid.nnet.network import Network

__all__ = ["PRECISIONS", "at_precision"]

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.float32}  # → dtype of the features

# Linear maps have a step for each output: one for all of a map costs 3 points of WER where maps are trained along the
# natural gradient.
KINDS = {
    nn.Linear: torch.ao.quantization.per_channel_dynamic_qconfig,
    nn.LSTM: torch.ao.quantization.default_dynamic_qconfig,
}


def at_precision(network: Network, precision: str) -> Network:
    """Returns a copy of a network for inference that computes at another precision.

    Args:
      network: what `Network.for_inference` gave, on the CPU (bfloat16: on any device).
      precision: a name in `PRECISIONS`. int8 needs a processor of x86 or ARM; bfloat16 is fast where the processor has
        it (avx512_bf16, amx_bf16).

    Raises:
      ValueError: an unknown name, or int8 on another device.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is '{precision}', wanted one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        return network
    network = copy.deepcopy(network)
    if precision == "bfloat16":
        return network.to(torch.bfloat16)
    if network.device.type != "cpu":
        raise ValueError(f"precision int8 is of CPUs, the device is {network.device}; wanted bfloat16 or float32")
    _linear_maps_(network)
    return _quantised(network)


def _quantised(network: Network) -> Network:
    before = torch.backends.quantized.engine
    engines = torch.backends.quantized.supported_engines
    try:
        torch.backends.quantized.engine = next(e for e in ("x86", "fbgemm", "qnnpack") if e in engines)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # current torch announces the move of this function to another package
            return torch.ao.quantization.quantize_dynamic(network, KINDS)
    finally:
        torch.backends.quantized.engine = before


class SplicedLinear(nn.Module):
    """A convolution over time as a linear map of frames put side by side, which is what can be quantised."""

    def __init__(self, layer: nn.Conv1d) -> None:
        super().__init__()
        (self.width,), (self.dilation,), (self.stride,) = layer.kernel_size, layer.dilation, layer.stride
        self.linear = nn.Linear(layer.in_channels * self.width, layer.out_channels, bias=layer.bias is not None)
        with torch.no_grad():
            self.linear.weight.copy_(layer.weight.transpose(1, 2).flatten(1))
            if layer.bias is not None:
                self.linear.bias.copy_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N][D][T] as the convolution does."""
        x = x.transpose(1, 2)
        frames = (x.shape[1] - (self.width - 1) * self.dilation - 1) // self.stride + 1
        reach = (frames - 1) * self.stride + 1
        starts = [i * self.dilation for i in range(self.width)]
        return self.linear(torch.cat([x[:, s : s + reach : self.stride] for s in starts], dim=2)).transpose(1, 2)


def _linear_maps_(module: nn.Module) -> None:
    """Puts a `SplicedLinear` for each convolution that is not depthwise."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv1d) and child.groups == 1:
            setattr(module, name, SplicedLinear(child))
        else:
            _linear_maps_(child)
