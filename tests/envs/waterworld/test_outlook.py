"""The outlook: no wall that an agent could touch or see is left out, and hardly any other is named."""

from math import pi

import pytest
import torch

from rlrun.envs.waterworld.layout import LAYOUTS, TURN, Layout
from rlrun.envs.waterworld.outlook import STRIDE, Outlook
from rlrun.envs.waterworld.rays import crossed

POSES = 20_000


def outlook(layout: Layout) -> Outlook:
    return Outlook(layout, torch.float64, torch.device("cpu"))


def drawn(layout: Layout) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Poses all over the world, with its corners, edges and all the borders of cells among them."""
    generator = torch.Generator().manual_seed(0)
    x, y, angle = torch.rand(3, POSES, generator=generator, dtype=torch.float64)
    x, y, angle = x * layout.width, y * layout.height, angle * (TURN if layout.turns else 0.0)
    third = POSES // 3
    x[:third], y[third : 2 * third] = (x[:third] / 10).round() * 10, (y[third : 2 * third] / 10).round() * 10
    x[:4], y[:4] = torch.tensor([[0, 0, layout.width, layout.width], [0, layout.height, 0, layout.height]])
    angle[-2:] = TURN if layout.turns else 0.0
    return x, y, angle


def named(walls: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Return which walls `walls` (K, N) names, (N, W)."""
    return (walls[..., None] == torch.arange(len(layout.walls))).any(0)


def met(layout: Layout, x: torch.Tensor, y: torch.Tensor, angle: torch.Tensor, length: float) -> torch.Tensor:
    """Return which walls lines of `length` px from (x, y) at `angle`, each (N,), cross, (N, W)."""
    walls = torch.tensor(layout.walls, dtype=torch.float64)[..., None, None]  # (W, 4, 1, 1)
    return torch.stack([crossed(x, y, length * angle.sin(), length * angle.cos(), wall) for wall in walls], 1)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_wall_that_an_eye_sees_is_named(layout: Layout) -> None:
    x, y, angle = drawn(layout)
    told = named(outlook(layout).in_view(x, y, angle), layout)
    seen = torch.zeros_like(told)
    for eye in layout.eye_angles:
        seen |= met(layout, x, y, angle + eye, layout.reach)
    assert seen.any(0).all(), "the poses do not show all walls"
    assert not (seen & ~told).any()
    assert told.sum() < 1.5 * seen.sum()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_wall_within_a_stride_is_named(layout: Layout) -> None:
    x, y, _ = drawn(layout)
    told = named(outlook(layout).within_stride(x, y), layout)
    touched = torch.zeros_like(told)
    for course in torch.arange(0, 2 * pi, 0.1).tolist():
        touched |= met(layout, x, y, torch.full_like(x, course), STRIDE)
    assert touched.any(0).all(), "the poses do not touch all walls"
    assert not (touched & ~told).any()


def test_the_numbers_of_walls_stand_before_nowhere_which_lies_where_nobody_comes() -> None:
    layout = LAYOUTS["rldemo"]
    table = outlook(layout)
    x, y, angle = drawn(layout)
    walls = table.in_view(x, y, angle)
    assert int(walls.max()) == table.nowhere == len(layout.walls)
    assert bool((walls[1:][walls[:-1] == table.nowhere] == table.nowhere).all())
    ends = table.ends(torch.arange(len(layout.walls) + 1)).t()
    assert ends[:-1].tolist() == [list(wall) for wall in layout.walls]
    assert float(ends[-1].max()) < -1e5
