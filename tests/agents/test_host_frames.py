from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from rlrun.agents import host_frames
from rlrun.agents.host_ledger import HostLedger
from rlrun.agents.replay import Replay

ROWS, ENVS = 11, 3


Life = Callable[..., Iterator[tuple[Tensor, ...]]]


def lived(life: Life, shape: tuple[int, ...], dtype: torch.dtype, stack: int, n_step: int, **parts: Any) -> Replay:
    """Return a replay that is written over once already."""
    replay = Replay(ROWS * ENVS, ENVS, shape, obs_dtype=dtype, stack=stack, n_step=n_step, seed=0, **parts)
    source = torch.Generator().manual_seed(0)
    for row in islice(life("cpu", ENVS), ROWS + 5):
        replay.add(torch.randint(256, (ENVS, *shape), generator=source).to(dtype), *row)
    return replay


@pytest.mark.parametrize("n_step", [1, 2, 5])
@pytest.mark.parametrize(
    ("shape", "dtype", "stack"),
    [((4, 3, 2), torch.uint8, 4), ((5, 6), torch.float32, 5), ((6,), torch.float32, 1)],
)
def test_a_sample_is_to_the_bit_what_plain_torch_code_draws(
    life: Life, shape: tuple[int, ...], dtype: torch.dtype, stack: int, n_step: int
) -> None:
    plain = lived(life, shape, dtype, stack, n_step)
    parts = {"ledger": HostLedger, "ring": host_frames.HostFrameRing, "observe": host_frames.observe_pairs}
    host = lived(life, shape, dtype, stack, n_step, **parts)
    for _ in range(5):
        for mine, theirs in zip(host.sample(64), plain.sample(64), strict=True):
            assert mine.dtype == theirs.dtype
            assert torch.equal(mine, theirs)


def test_one_step_transitions_share_the_frames_of_both_their_sides(life: Life) -> None:
    replay = lived(life, (4, 3, 2), torch.uint8, 4, 1, ledger=HostLedger, observe=host_frames.observe_pairs)
    batch = replay.sample(16)
    assert batch.next_obs.data_ptr() == batch.obs[:, 1].data_ptr()
    assert batch.obs.untyped_storage().nbytes() == 16 * 5 * 6
