"""Parts: which numbers of an observation belong together, and what Waterworld's eyes see."""

import numpy as np
import pytest
import torch

import rlrun
from rlrun.cli.parts import SIGHTS, parts_of
from rlrun.envs.waterworld.layout import REINFORCEJS, RLDEMO, Layout


def test_every_number_is_in_one_part() -> None:
    for shape, actions, layout in (
        ((4,), 2, None),
        ((2, 32), 5, RLDEMO),
        ((152,), 4, REINFORCEJS),
        ((3, 156), 4, REINFORCEJS),
    ):
        parts = parts_of(shape, actions, layout)
        assert torch.equal(parts.masks.sum(0), torch.ones(shape, dtype=torch.int64))
        assert len(set(parts.names)) == len(parts.names) == len(parts.masks)


def test_the_actions_of_a_window_are_parts_and_older_numbers_say_their_age() -> None:
    parts = parts_of((2, 5), 3)
    assert parts.names == ("0", "1", "action", "0, 1 ago", "1, 1 ago", "action, 1 ago")
    assert parts.masks[2].nonzero().tolist() == [[1, 2], [1, 3], [1, 4]]
    assert parts.masks[3].nonzero().tolist() == [[0, 0]]
    assert parts.sights(torch.rand(7, 2, 5)).shape == (7, 0)


def test_an_eyes_numbers_of_the_whole_window_are_one_part() -> None:
    parts = parts_of((2, 32), 5, RLDEMO)
    assert parts.names[:9] == tuple(f"eye {eye}" for eye in range(9))
    assert parts.names[9:] == ("action", "action, 1 ago")
    assert parts.masks[2].nonzero().tolist() == [[0, 6], [0, 7], [0, 8], [1, 6], [1, 7], [1, 8]]
    assert parts_of((152,), 4, REINFORCEJS).names[30:] == ("velocity",)
    saliency = torch.zeros(2, 32)
    saliency[0, 7], saliency[1, 6] = 3.0, 2.0
    assert parts.values(saliency).tolist() == [0, 0, 3, *[0] * 8]


@pytest.mark.parametrize("layout", [RLDEMO, REINFORCEJS], ids=lambda layout: layout.variant)
def test_what_eyes_see_is_read_from_the_newest_observation(layout: Layout) -> None:
    envs = rlrun.make(layout.name, num_envs=40, seed=3)
    envs.reset()
    for _ in range(30):
        obs, *_ = envs.step(np.zeros(40, np.int64))
    sight = envs.batch.core.sight
    wide = torch.zeros(40, 2, obs.shape[1] + 4)  # an older row sees other things
    wide[:, 1, : obs.shape[1]] = torch.as_tensor(obs)
    for parts, states in (
        (parts_of(obs.shape[1:], 4, layout), torch.as_tensor(obs)),
        (parts_of(wide.shape[1:], 4, layout), wide),
    ):
        seen = parts.sights(states)
        assert torch.equal(seen, sight.kind.long() + 1)
        assert {SIGHTS[kind] for kind in seen.unique().tolist()} == set(SIGHTS)
        ends = parts.rays(states[0])
        assert ends is not None
        assert torch.allclose(ends.norm(dim=1), (sight.distance[0] / layout.reach).float())
    envs.close()


def test_rays_look_from_the_heading_and_impossible_states_have_none() -> None:
    parts = parts_of((27,), 5, RLDEMO)
    state = torch.ones(27)
    state[3 * 3] = 0.5  # the fourth eye looks straight ahead, and sees a wall halfway
    ends = parts.rays(state)
    assert ends is not None
    assert ends[3].tolist() == pytest.approx([0.0, 0.5])
    assert ends[0].tolist() == pytest.approx([np.sin(0.75), np.cos(0.75)])  # right of the agent, whose y points down
    state[3 * 3 + 1] = 0.5  # and an apple at once
    assert parts.rays(state) is None
