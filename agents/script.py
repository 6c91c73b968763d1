"""Scripted: a function of tensors, its operations recorded once and run from then on without Python in between."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from .config import Config

Function = Callable[..., Sequence[Tensor]]


class Scripted:
    """A pure function of tensors that a CPU runs as a script: what a CUDA graph is to a GPU.

    Python and autograd take a while to say what is to be done, for small networks longer than the doing. So the
    operations that a call makes, gradients included, are recorded (`make_fx`) and compiled to TorchScript, once for
    arguments of each shape, dtype and layout. A script makes the same operations in the same order; whether its results
    are the function's own to the bit is asked before it is used for the first time, and where they are not, or torch
    cannot make one, the function itself goes on being called.

    Args:
        function: of tensors, to tensors. It may read others, such as weights, which may change in place between two
            calls, but must write to none: TorchScript drops a write to a list of tensors that it thinks nobody reads.
        after: how many calls with arguments of one shape are made without a script, as recording takes a second or two
            that only many calls earn back. `math.inf` for none ever.

    """

    def __init__(self, function: Function, after: float = 0) -> None:
        """Wrap `function`; nothing is recorded yet."""
        self._function = torch.enable_grad()(function)
        self._after = after
        self._calls: Counter[tuple[Any, ...]] = Counter()
        self._made: dict[tuple[Any, ...], Function] = {}

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        """Return what the function returns."""
        with _plain_execution():
            return self._made_for(tensors)(*tensors)

    def each(self, calls: Iterable[Sequence[Tensor]], then: Callable[[Sequence[Tensor]], object]) -> None:
        """Call the function with each of `calls`, and hand what it returns to `then` before the next.

        `then` runs without autograd. What a call must prepare is prepared once.
        """
        with _plain_execution():
            for tensors in calls:
                then(self._made_for(tensors)(*tensors))

    @property
    def scripts(self) -> int:
        """How many shapes have a script."""
        return sum(made is not self._function for made in self._made.values())

    def _made_for(self, tensors: Sequence[Tensor]) -> Function:
        """Return the script for arguments like `tensors`, or the function where there is none to be trusted."""
        kind = tuple([(tensor.shape, tensor.dtype, tensor.stride()) for tensor in tensors])
        made = self._made.get(kind)
        if made is None:
            self._calls[kind] += 1
            if self._calls[kind] <= self._after:
                return self._function
            made = self._made[kind] = _checked(self._function, tensors)
        return made


def scripted_after(config: Config, device: torch.device, calls: int) -> float:
    """Return after how many calls what an agent does is scripted: `calls` on a CPU, never elsewhere or if compiled."""
    return calls if device.type == "cpu" and not config.compile else math.inf


@contextmanager
def _plain_execution() -> Iterator[None]:
    """Run scripts as they were recorded: gradients are among their operations, and TorchScript's optimiser rounds."""
    with torch.no_grad(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        yield


def _checked(function: Function, tensors: Sequence[Tensor]) -> Function:
    """Return a script of `function` for arguments like `tensors`, or `function` where there is none to be trusted."""
    expected = function(*tensors)
    try:
        script = _script(function, tensors)
        result = script(*tensors)
    except Exception:  # whatever it is, torch has no script of this: the function goes on as ever
        return function
    same = all(torch.equal(one, two) for one, two in zip(expected, result, strict=True))
    return script if same else function


def _script(function: Function, tensors: Sequence[Tensor]) -> Function:
    """Return the operations of `function` for arguments like `tensors`, as TorchScript."""
    # Here, not above: it imports torch's compiler, a second or two that only a run of some length has to spare.
    from torch.fx.experimental.proxy_tensor import make_fx

    from .recording import do_once

    recorded = make_fx(function)(*tensors)
    do_once(recorded, tensors)
    for node in recorded.graph.nodes:
        if isinstance(node.target, torch._ops.OpOverload):
            # TorchScript knows an operation by its name alone, and chooses among its variants by the arguments' names.
            schema = node.target._schema.arguments
            node.kwargs = {
                **{argument.name: value for argument, value in zip(schema[1:], node.args[1:], strict=False)},
                **node.kwargs,
            }
            node.args = node.args[:1]
            node.target = node.target.overloadpacket
    recorded.recompile()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own sources, of no use to who trains
        script: Function = torch.jit.script(recorded)
    return script
