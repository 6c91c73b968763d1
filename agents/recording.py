"""What a recorded function need not do at each call, because it comes out alike every time: done once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import GraphModule, Interpreter, Node

aten = torch.ops.aten
BY_SHAPE = {aten.ones_like, aten.zeros_like, aten.new_ones, aten.new_zeros, aten.full_like, aten.new_full, aten.arange}
"""Operations that read no more of their arguments than shapes."""


def do_once(recorded: GraphModule, tensors: Sequence[Tensor]) -> None:
    """Take out of `recorded`, a function made by `make_fx`, what need not be done at each call like that on `tensors`.

    A view of a weight is made once: it shows the weight as it will be. What depends on shapes alone, such as the first
    steps of a mean's gradient, is computed once. And a view that only undoes others, as of a matrix turned twice, gives
    way to what they are views of. Results are the same to the bit.
    """
    graph = recorded.graph
    trial = Interpreter(recorded, garbage_collect_values=False)
    trial.run(*tensors)
    values: dict[Node, Any] = trial.env
    returned = graph.output_node().all_input_nodes  # made anew at each call, as whoever calls may write to it
    there: set[Node] = set()  # what is there before a call: weights, and what is done once
    fixed: set[Node] = set()  # of that, what never changes
    for node in list(graph.nodes):
        if node.op == "get_attr":
            there.add(node)
        if not isinstance(node.target, OpOverload) or not isinstance(values[node], Tensor):
            continue
        if (origin := _origin(node, values)) is not None:
            node.replace_all_uses_with(origin)
            continue
        if node in returned:
            continue
        same = node.target.overloadpacket in BY_SHAPE or _within(node, fixed)
        if same or (node.target.is_view and _within(node, there)):
            with graph.inserting_before(node):
                once = graph.get_attr(_keep(recorded, values[node]))
            values[once] = values[node]
            there.add(once)
            if same:
                fixed.add(once)
            node.replace_all_uses_with(once)
    graph.eliminate_dead_code()
    recorded.recompile()


def _within(node: Node, known: set[Node]) -> bool:
    """Return whether what `node` computes depends on nothing but `known`."""
    sources = set(node.all_input_nodes)
    return bool(sources) and sources <= known and torch.Tag.nondeterministic_seeded not in node.target.tags  # type: ignore[union-attr]


def _keep(recorded: GraphModule, value: Tensor) -> str:
    """Have `recorded` keep `value`; return the name by which it does."""
    name = f"once_{len(list(recorded.buffers()))}"
    recorded.register_buffer(name, value)
    return name


def _origin(node: Node, values: Mapping[Node, Any]) -> Node | None:
    """Return the one that `node` shows just as it is, through one view or more; None if there is none."""
    shown = node
    while isinstance(shown.target, OpOverload) and shown.target.is_view:
        shown = shown.all_input_nodes[0]
        if isinstance(values[shown], Tensor) and _layout(values[shown]) == _layout(values[node]):
            return shown
    return None


def _layout(tensor: Tensor) -> tuple[object, ...]:
    """Return what tells two views of the same memory apart."""
    return tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset()
