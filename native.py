"""Native: loops over the numbers of arrays, compiled for the CPU by Numba: what Triton's kernels are to a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def native(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function`, of arrays and numbers, when it is called for the first time with such.

    That takes a second; the machine code is kept beside the source, or where Numba keeps it for each user, and later
    processes load it, until that file changes. So a loop uses nothing of another file that might change: neither loops
    nor constants. Arithmetic is rounded as it is written: nothing is fused or reordered. Other threads go on meanwhile.
    """
    settings = {"nogil": True, "error_model": "numpy"}
    try:
        compiled: Callable[P, R] = numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # no folder may be written to: then each process compiles for itself
        compiled = numba.njit(**settings)(function)
    return compiled
