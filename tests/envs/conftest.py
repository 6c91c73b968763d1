"""A person's own worlds, written into a module of their own."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

OWN = """
import gymnasium, numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary

class Grid(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 12}
    observation_space = Box(0, 255, (5, 6, 3), np.uint8)
    action_space = Discrete(3, start=-1)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.picture = np.zeros((5, 6, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.picture[:] = self.np_random.integers(256)
        return self.picture, {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.picture[:] += np.uint8(1)  # the same array every time, as some worlds do
        return self.picture, float(action), False, False, {}

    def render(self):
        return self.picture

class Blind(Grid):
    metadata = {"render_modes": []}

class Dice(Grid):
    observation_space = Box(0, 1, (1,), np.float64)
    chance = np.random.default_rng(0)  # drawn elsewhere than from np_random

    def reset(self, *, seed=None, options=None):
        return self.chance.random(1), {}

    def step(self, action):
        return self.chance.random(1), 0.0, False, False, {}

class Flat(Grid):
    observation_space = MultiBinary(4)

class Dear(Grid):
    def __init__(self, price):
        pass

class Jug:
    pass

gymnasium.register("Registered-v0", entry_point=Grid, max_episode_steps=4)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Write a person's own module into the working directory and return its name."""
    name = f"own_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(OWN))
    (tmp_path / f"{name}_broken.py").write_text("import not_there_at_all")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path.copy())
    yield name
    gymnasium.registry.pop("Registered-v0", None)
