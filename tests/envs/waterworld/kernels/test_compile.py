"""The kernels compiled for an H100 or H200 on a machine without one."""

from collections.abc import Callable
from typing import Any

import pytest

from rlrun.envs.waterworld.layout import RLDEMO

Compile = Callable[..., Any]
Memory = Callable[[Any], int]


def signature(text: str) -> dict[str, str]:
    """Return the types by name: `type: name name; ...`, in the order of the kernel's arguments."""
    groups = (group.split(":") for group in text.split(";"))
    return {name: kind.strip() for kind, names in groups for name in names.split()}


def test_looking_spills_no_registers(compiled: Compile, memory_of_a_thread: Memory) -> None:
    from rlrun.envs.waterworld.kernels.look import WORLDS, _look

    types = signature(
        "*fp32: x y angle item_x item_y; *i8: item_kind; *fp32: walls sines cosines distance; *i64: kind place; "
        "*fp32: obs; i32: count"
    )
    numbers = {"REACH": RLDEMO.reach, "WALLS": len(RLDEMO.walls), "ITEMS": RLDEMO.items, "EYES": RLDEMO.eyes}
    kernel = compiled(_look, types, {**numbers, "WIDTH": 16, "WORLDS": WORLDS}, enable_fp_fusion=False)
    assert memory_of_a_thread(kernel) == 0


@pytest.mark.parametrize("limit", ["i32", "i64"])
def test_living_spills_no_registers(compiled: Compile, memory_of_a_thread: Memory, limit: str) -> None:
    from rlrun.envs.waterworld.kernels.live import live
    from rlrun.envs.waterworld.kernels.rldemo import WORLDS, numbers

    types = signature(
        "*i64: actions; *fp32: x y angle; *i64: clock; *fp32: item_x item_y; *i8: item_kind; "
        "*i64: item_born keys seeds episodes steps; *i1: ended; *fp32: seen_distance; *i64: seen_kind; "
        f"*fp32: wheels walls reals; *i64: wholes; *i1: flags; *i8: kinds; i32: count; {limit}: limit"
    )
    kernel = compiled(live, types, {**numbers(RLDEMO), "WORLDS": WORLDS}, enable_fp_fusion=False)
    assert memory_of_a_thread(kernel) == 0
