"""What a device can compute with, for all who choose between plain torch code and kernels."""

from __future__ import annotations

import importlib.util

import torch


def has_kernels(device: torch.device) -> bool:
    """Return whether the Triton kernels can run on `device`: torch brings Triton along for CUDA on Linux."""
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None
