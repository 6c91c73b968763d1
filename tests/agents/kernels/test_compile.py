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
    from rlrun.agents.kernels.priorities import BLOCK, CHUNK, _draw, _sum_blocks, _sum_blocks_of, _write

    draw = compiled(
        _draw,
        {"leaves": "*fp32", "sums": "*fp64", "offsets": "*fp64", "drawn": "*i64", "blocks": "i32"},
        {"BLOCK": BLOCK},
    )
    add = compiled(_sum_blocks_of, {"leaves": "*fp32", "sums": "*fp64", "index": "*i64"}, {"BLOCK": BLOCK})
    ring = {"leaves": "*fp32", "sums": "*fp64", "first": "i32", "blocks": "i32"}
    add_in_a_row = compiled(_sum_blocks, ring, {"BLOCK": BLOCK})
    write = compiled(_write, {"leaves": "*fp32", "index": "*i64", "weight": "*fp32", "count": "i32"}, {"CHUNK": CHUNK})
    for kernel in (draw, add, add_in_a_row):
        assert re.search(r"ld\.global\.v4\.b32", kernel.asm["ptx"]), "the weights come one by one"
    assert re.search(r"ld\.global\.v2\.b64", draw.asm["ptx"]), "the sums of the blocks come one by one"
    for kernel in (draw, add, add_in_a_row, write):
        assert memory_of_a_thread(kernel) == 0


@pytest.mark.parametrize("n_step", [1, 5])
def test_a_row_of_the_ledger_is_written_without_spills(
    compiled: Compile, memory_of_a_thread: Memory, n_step: int
) -> None:
    from rlrun.agents.kernels.ledger import LANES, _write
    from rlrun.agents.ledger import MAX_AGE

    flags = dict.fromkeys(("terminated", "truncated", "life_lost"), "*u8")
    columns = {"action": "*i64", "reward": "*fp32", **dict.fromkeys(("terminal", "cut", "done", "age", "live"), "*u8")}
    following = {"following_reward": "*fp32", "following_discount": "*fp32", "following_slots": "*i32"}
    numbers = {**dict.fromkeys(("row", "added", "rows", "num_envs"), "i32"), "discount": "fp32"}
    kernel = compiled(
        _write,
        {
            "new_action": "*i64", "new_reward": "*fp32", **flags, **columns, **following, "leaves": "*fp32",
            "fresh": "*fp32", **numbers,
        },
        {"STACK": 4, "STEPS": n_step, "MAX_AGE": MAX_AGE, "LANES": LANES},
    )  # fmt: skip
    assert memory_of_a_thread(kernel) == 0


@pytest.mark.parametrize("low", [True, False])
def test_adam_reads_and_writes_in_vectors_without_spills(
    compiled: Compile, memory_of_a_thread: Memory, low: bool
) -> None:
    from rlrun.agents.kernels.adam import BLOCK, LOG2_BETAS, TENSORS, _adam

    computing = "*bf16" if low else "*fp32"
    kinds = {"grads": computing, "weights": "*fp32", "means": "*fp32", "squares": "*fp32", "lows": computing}
    signature = {name: (kind,) * TENSORS for name, kind in kinds.items()}
    constants = {
        "FIRSTS": tuple(range(TENSORS)), "COUNTS": tuple(range(1, TENSORS + 1)), "TENSORS": TENSORS, "BETA1": 0.9,
        "BETA2": 0.999, "LOG2_BETA1": LOG2_BETAS[0], "LOG2_BETA2": LOG2_BETAS[1], "EPS": 1e-5, "LOW": low,
        "BLOCK": BLOCK,
    }  # fmt: skip
    kernel = compiled(_adam, {**signature, **dict.fromkeys(("step", "rate", "excess"), "*fp32")}, constants)
    code = kernel.asm["ptx"]
    # A thread's eight numbers of a whole block: gradient, weight and both moments, then the masters, written likewise.
    assert len(re.findall(r"ld\.global\.v4\.b32", code)) == (7 if low else 8), "numbers are read one by one"
    assert len(re.findall(r"st\.global\.v4\.b32", code)) == (7 if low else 6), "numbers are written one by one"
    assert memory_of_a_thread(kernel) == 0
