"""Devices by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybrid.base.errors import InputError, quote

if TYPE_CHECKING:
    import torch

__all__ = ["usable_device"]


def usable_device(name: str) -> torch.device:
    """Returns a device that can be used here: "cpu", "cuda" or "cuda:NUMBER".

    Raises:
      InputError: no such device, or none at hand.
    """
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError.at("device", f"is '{quote(name)}'", "Choose cpu, cuda or cuda:NUMBER.") from error
    if device.type not in ("cpu", "cuda"):
        raise InputError.at("device", f"is '{quote(name)}'", "Choose cpu, cuda or cuda:NUMBER.")
    found = torch.cuda.device_count() if device.type == "cuda" and torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= found:
        raise InputError.at("device", f"is '{quote(name)}', but {found} GPUs can be used here", "Choose cpu.")
    return device
