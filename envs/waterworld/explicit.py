"""Explicit states: a world as plain values, checked, that `options={"state": ...}` takes and recordings hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Integral, Real
from typing import Any, NoReturn

import torch

from ..errors import WorldError, did_you_mean, one_of
from .layout import TURN, Layout
from .rays import APPLE, POISON
from .state import EMPTY, State

FAR = 1e6  # px; items may lie outside of the canvas, where some eyes still see
_ITEM = ("x", "y", "type", "age")
_MOVING_ITEM = (*_ITEM, "velocity_x", "velocity_y")


def read_state(layout: Layout, plain: Any, *, dtype: torch.dtype, device: torch.device) -> State:
    """Return one world, as a State of one row.

    Args:
        layout: the variant's.
        plain: {"x", "y", "angle", "clock", "items"}, for `reinforcejs` without "angle" and with "velocity_x" and
            "velocity_y". Places in px, angles in rad, velocities in px a tick. An item is [x, y, type, age], with its
            velocities behind for `reinforcejs`; type is 1 for an apple, 2 for poison, age in ticks.
        dtype: of the floats.
        device: where to put it.

    Raises:
        WorldError: one sentence that names the first thing that is wrong and what would be right.

    """
    if not isinstance(plain, Mapping):
        raise WorldError(f"the state must be a dict with {one_of(_keys(layout), 'and')}, not {type(plain).__name__}.")
    keys = _keys(layout)
    for key in plain:
        if key not in keys:
            otherwise = f"; it has {one_of(keys, 'and')}."
            raise WorldError(
                f"the state has no {key!r}" + did_you_mean(str(key), {name: name for name in keys}, otherwise)
            )
    for key in keys:
        if key not in plain:
            raise WorldError(f"the state lacks {key!r}: it has {one_of(keys, 'and')}.")
    edge = 0.0 if layout.turns else 1.0
    agent = {
        "x": _number(plain["x"], "x", edge, layout.width - edge),
        "y": _number(plain["y"], "y", edge, layout.height - edge),
        "angle": _number(plain["angle"], "angle", 0.0, TURN) if layout.turns else 0.0,
        "velocity_x": 0.0 if layout.turns else _number(plain["velocity_x"], "velocity_x", -layout.speed, layout.speed),
        "velocity_y": 0.0 if layout.turns else _number(plain["velocity_y"], "velocity_y", -layout.speed, layout.speed),
    }
    clock = _whole(plain["clock"], "clock", 0, 2**62)
    items = plain["items"]
    if not isinstance(items, Sequence) or isinstance(items, str):
        _wrong("items", items, f"a list of at most {layout.items} items")
    if len(items) > layout.items:
        _wrong("items", f"{len(items)} items", f"at most {layout.items} of them")
    rows = [_item(layout, item, f"items[{index}]") for index, item in enumerate(items)]
    rows += [(0.0, 0.0, EMPTY, 0, 0.0, 0.0)] * (layout.items - len(rows))
    x, y, kind, age, velocity_x, velocity_y = zip(*rows, strict=True)

    def floats(*values: float) -> torch.Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    return State(
        **{name: floats(value) for name, value in agent.items()},
        clock=torch.tensor([clock], device=device),
        item_x=floats(*x)[None],
        item_y=floats(*y)[None],
        item_velocity_x=floats(*velocity_x)[None],
        item_velocity_y=floats(*velocity_y)[None],
        item_kind=torch.tensor([kind], dtype=torch.int8, device=device),
        item_born=torch.tensor([[clock - years for years in age]], device=device),
    )


def write_state(layout: Layout, state: State, row: int) -> dict[str, Any]:
    """Return the world at `row` as plain values that `read_state` takes."""
    values = {name: tensor[row].tolist() for name, tensor in state.tensors().items()}
    columns = [values["item_x"], values["item_y"], values["item_kind"]]
    columns.append([values["clock"] - born for born in values["item_born"]])
    if not layout.turns:
        columns += [values["item_velocity_x"], values["item_velocity_y"]]
    items = [list(item) for item in zip(*columns, strict=True) if item[2] != EMPTY]
    return {key: items if key == "items" else values[key] for key in _keys(layout)}


def _keys(layout: Layout) -> tuple[str, ...]:
    pose = ("angle",) if layout.turns else ("velocity_x", "velocity_y")
    return ("x", "y", *pose, "clock", "items")


def _item(layout: Layout, item: Any, name: str) -> tuple[float, float, int, int, float, float]:
    columns = _ITEM if layout.turns else _MOVING_ITEM
    if not isinstance(item, Sequence) or isinstance(item, str) or len(item) != len(columns):
        _wrong(name, item, f"[{', '.join(columns)}]")
    x, y = (_number(value, f"{name} {axis}", -FAR, FAR) for value, axis in zip(item, "xy", strict=False))
    kind = _whole(item[2], f"{name} type", APPLE, POISON)
    age = _whole(item[3], f"{name} age", 0, 2**62)
    if layout.turns:
        return x, y, kind, age, 0.0, 0.0
    speed = layout.item_speed
    velocity_x, velocity_y = (_number(value, f"{name} velocity", -speed, speed) for value in item[4:])
    return x, y, kind, age, velocity_x, velocity_y


def _number(value: Any, name: str, least: float, most: float) -> float:
    fits = isinstance(value, Real) and not isinstance(value, bool)
    if not fits or not isfinite(value) or not least <= value <= most:
        _wrong(name, value, f"a number from {least:g} to {most:g}")
    return float(value)


def _whole(value: Any, name: str, least: int, most: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not least <= int(value) <= most:
        right = f"a whole number from {least} to {most}" if most < 2**62 else f"a whole number, at least {least}"
        _wrong(name, value, right)
    return int(value)


def _wrong(name: str, value: Any, right: str) -> NoReturn:
    shown = value if isinstance(value, str) and value.endswith("items") else repr(value)
    raise WorldError(f"the state's {name} is {str(shown)[:80]}, but must be {right}.")
