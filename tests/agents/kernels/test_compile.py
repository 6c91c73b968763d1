"""The kernels compiled for an H100 or H200 on a machine without one, and what the compiler made of them."""

import re
from collections.abc import Callable
from typing import Any

import pytest

Compile = Callable[..., Any]
Memory = Callable[[Any], int]


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("pixels", [84 * 84, 210 * 160])
def test_observations_are_read_and_written_in_vectors_without_spills(
    compiled: Compile, memory_of_a_thread: Memory, dtype: str, pixels: int
) -> None:
    from rlrun.agents.kernels.observe import TILE, _observe

    signature = {
        "frames": "*u8", "age": "*u8", "slots": "*i64", "out": f"*{dtype}", "rows": "i32",
        "num_envs": "i32",
    }  # fmt: skip
    kernel = compiled(_observe, signature, {"PIXELS": pixels, "STACK": 4, "WIDTH": 4, "TILE": TILE})
    code = kernel.asm["ptx"]
    assert re.search(r"ld\.global\.v4\.b32", code), "the frames are not read 16 bytes at once"
    assert len(re.findall(r"ld\.global\.b8", code)) == 1, "some bytes beside the age are read one by one"
    # The four channels of a pixel at once, of each of a thread's pixels.
    assert re.search(rf"st\.global\.v{2 if dtype == 'bf16' else 4}\.b32", code), "numbers are written one by one"
    assert not re.search(r"st\.global\.b(16|32)", code), "some numbers are written one by one"
    assert memory_of_a_thread(kernel) == 0


def test_priorities_are_read_in_vectors_without_spills(compiled: Compile, memory_of_a_thread: Memory) -> None:
    from rlrun.agents.kernels.priorities import BLOCK, CHUNK, _draw, _sum_block, _write

    draw = compiled(
        _draw,
        {"leaves": "*fp32", "sums": "*fp64", "offsets": "*fp64", "drawn": "*i64", "blocks": "i32"},
        {"BLOCK": BLOCK},
    )
    add = compiled(_sum_block, {"leaves": "*fp32", "sums": "*fp64", "index": "*i64"}, {"BLOCK": BLOCK})
    write = compiled(_write, {"leaves": "*fp32", "index": "*i64", "weight": "*fp32", "count": "i32"}, {"CHUNK": CHUNK})
    for kernel in (draw, add):
        assert re.search(r"ld\.global\.v4\.b32", kernel.asm["ptx"]), "the weights come one by one"
    assert re.search(r"ld\.global\.v2\.b64", draw.asm["ptx"]), "the sums of the blocks come one by one"
    for kernel in (draw, add, write):
        assert memory_of_a_thread(kernel) == 0
