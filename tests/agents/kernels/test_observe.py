import pytest
import torch
from torch import Tensor

from rlrun.agents.frame_ring import FrameRing, normalised


def filled(device: str, rows: int, num_envs: int, stack: int, height: int, width: int, seed: int = 0) -> FrameRing:
    """Return a ring whose every byte is random."""
    shape = (stack, height, width)
    ring = FrameRing(rows, num_envs, shape, dtype=torch.uint8, stack=stack, device=torch.device(device))
    source = torch.Generator().manual_seed(seed)
    for row in range(rows):
        ring.write(row, torch.randint(256, (num_envs, *shape), generator=source).to(torch.uint8).to(device))
    return ring


def steps(device: str, ring: FrameRing, count: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Return random ages of all frames, 0 to 255, many of them small, and the slots of `count` random steps."""
    source = torch.Generator().manual_seed(seed)
    age = torch.randint(256, (ring.rows, ring.num_envs), generator=source)
    age = torch.where(torch.rand(age.shape, generator=source) < 0.7, age % (ring.stack + 1), age).to(torch.uint8)
    row = torch.randint(ring.rows, (count,), generator=source)
    env = torch.randint(ring.num_envs, (count,), generator=source)
    row[:2] = torch.tensor([0, ring.rows - 1])  # a stack across the ring's seam
    return age.to(device), (row * ring.num_envs + env).to(device)


def as_rounded(device: str, exact: Tensor, dtype: torch.dtype) -> Tensor:
    """Return float32 numbers in `dtype` as the device rounds them."""
    if device == "cpu" and dtype == torch.bfloat16:
        # Triton's interpreter cuts the lower bits off, whatever rounding is asked for; a GPU rounds to the nearest.
        exact = (exact.view(torch.int32) & -(1 << 16)).view(torch.float32)
    return exact.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("rows", "num_envs", "stack", "height", "width", "batch"),
    [(9, 3, 4, 84, 84, 8), (7, 1, 4, 44, 44, 5), (6, 2, 3, 5, 7, 16), (5, 4, 1, 32, 33, 3), (40, 5, 8, 3, 3, 64)],
)
def test_the_kernel_makes_the_observations_of_its_twin_to_the_bit(
    device: str, rows: int, num_envs: int, stack: int, height: int, width: int, batch: int, dtype: torch.dtype
) -> None:
    from rlrun.agents.kernels.observe import observe

    ring = filled(device, rows, num_envs, stack, height, width)
    where = steps(device, ring, batch)
    exact = normalised(ring.observe(*where).view(batch, stack, height, width), torch.float32)
    expected = as_rounded(device, exact, dtype)
    made = observe(ring, *where, dtype=dtype)
    assert made.shape == (batch, stack, height, width)
    assert made.dtype == dtype
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(made, expected)


def test_every_byte_becomes_itself_over_255(device: str) -> None:
    from rlrun.agents.kernels.observe import observe

    ring = FrameRing(3, 1, (1, 16, 16), dtype=torch.uint8, stack=1, device=torch.device(device))
    every = torch.arange(256, dtype=torch.uint8, device=device)
    ring.frames[1] = every
    one = torch.ones(1, dtype=torch.int64, device=device)
    age = torch.zeros(3, 1, dtype=torch.uint8, device=device)
    made = observe(ring, age, one).view(-1)
    torch.testing.assert_close(made, every / 255, rtol=1e-6, atol=0)
    assert float(made[0]) == 0.0


def test_another_episodes_frames_and_another_worlds_never_show(device: str) -> None:
    from rlrun.agents.kernels.observe import observe

    rows, num_envs, stack = 6, 2, 4
    ring = FrameRing(rows, num_envs, (stack, 4, 4), dtype=torch.uint8, stack=stack, device=torch.device(device))
    for row in range(rows):
        obs = torch.full((num_envs, stack, 4, 4), 255, dtype=torch.uint8, device=device)  # only the last one counts
        obs[:, -1] = torch.tensor([10, 100], dtype=torch.uint8, device=device)[:, None, None] + row
        ring.write(row, obs)
    age = torch.tensor([[9, 9], [9, 9], [0, 9], [1, 0], [2, 1], [3, 2]], dtype=torch.uint8, device=device)
    when, world = torch.tensor([5, 4, 2, 5, 3, 0], device=device), torch.tensor([0, 0, 0, 1, 1, 0], device=device)
    shown = (observe(ring, age, when * num_envs + world)[:, :, 2, 1] * 255).round().int().tolist()
    assert shown == [
        [12, 13, 14, 15],
        [0, 12, 13, 14],
        [0, 0, 0, 12],
        [0, 103, 104, 105],
        [0, 0, 0, 103],
        [13, 14, 15, 10],  # around the ring
    ]
