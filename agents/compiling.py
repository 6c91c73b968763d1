"""Networks compiled by torch: what follows a convolution or a product of matrices becomes one kernel with it."""

from __future__ import annotations

import os
import shutil

import torch
import torch._dynamo
import torch._inductor
import torch._inductor.decomposition

from ..devices import has_kernels
from ..networks import QNetwork
from .config import ConfigError

SHAPES = 64
"""Shapes, dtypes and kinds of call for which a function is compiled anew; torch's own limit of 8 an agent may reach."""

# A seed is to make a run: reductions whose blocks are chosen by timing would add up in another order the next time.
OPTIONS = {"deterministic": True}


def require_compiler(device: torch.device) -> None:
    """Raise ConfigError, one sentence, where torch cannot compile for `device`."""
    if device.type == "cuda":
        # Triton has a C compiler build what launches its kernels.
        if not has_kernels(device):
            raise ConfigError("compile = true is not possible: on a GPU it needs Triton, which is not installed")
        tried = [os.environ.get("CC", ""), "gcc", "clang", "cc"]
    else:
        tried = [os.environ.get("CXX", ""), "g++", "clang++", "c++"]
    if not any(shutil.which(name) for name in tried if name):
        language = "C" if device.type == "cuda" else "C++"
        raise ConfigError(f"compile = true is not possible: it needs a {language} compiler, and there is none")


def compile_network(network: QNetwork) -> None:
    """Have torch compile `network`'s body and head, each at its first call with arguments of a new shape or dtype.

    In place: its weights keep their names, and what was saved of one network fits the other. A deep copy is not
    compiled. Calls with and without gradients are compiled apart. What cannot be compiled whole raises when called.
    """
    _pool_backward_by_gathering()
    dynamo = torch._dynamo.config
    dynamo.recompile_limit = max(dynamo.recompile_limit, SHAPES)
    options = {name: value for name, value in OPTIONS.items() if name in torch._inductor.list_options()}
    for part in (network.body, network.head):
        part.compile(dynamic=False, fullgraph=True, options=options)


def _pool_backward_by_gathering() -> None:
    """Have max-pools' gradients compiled as sums over the windows that a pixel lies in, from here on."""
    # Left to itself torch scatters them from the windows instead, on a GPU with atomic additions: in another order each
    # time, so that a seed would not make a run, and slower. Its own rule for gathering it keeps for its deterministic
    # mode, which would also hold for all that is not compiled.
    table = torch._inductor.decomposition
    for overload in ("default", "grad_input"):
        table.decompositions.pop(getattr(torch.ops.aten.max_pool2d_with_indices_backward, overload), None)
    table.fast_random_decomps.cache_clear()  # a copy, if something was compiled before
