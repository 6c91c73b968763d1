"""WaterworldEnv: one world, as gymnasium.make("rlrun/Waterworld-v0") hands it out."""

from __future__ import annotations

import operator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from gymnasium import Space
from numpy.typing import NDArray

from ..errors import WorldError, one_of
from .batch import Batch, parts
from .explicit import write_state
from .layout import DEFAULT
from .options import state_in
from .picture import Painter
from .spaces import action_space, observation_space

if TYPE_CHECKING:
    from .window import Window


class WaterworldEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """One Waterworld: obs float32 (27,), or (152,) for variant "reinforcejs"; it never terminates.

    Seeded with S + i it is world i of a WaterworldVectorEnv seeded with S: alone or beside 4,095 others, the same
    actions bring the same. A reset without a seed goes on with the seed's next episode.

    `reset(options={"state": ...})` begins where a state says, and `state` returns one: {"x", "y", "angle", "clock",
    "items"} with items [x, y, type, age]; for "reinforcejs" "velocity_x" and "velocity_y" instead of "angle", and both
    behind each item's age. Info of a step: the reward's parts `proximity`, `forward` and `digestion`, `apples` and
    `poisons` eaten, and `collided` with a wall.

    Args:
        variant: "rldemo" (ConvNetJS) or "reinforcejs".
        render_mode: "rgb_array" for pictures (500, 700, 3), "human" for a window (needs pygame), or None.

    Raises:
        WorldError: an unknown variant or render mode, a malformed state, an action that is none.

    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium's own type)
        "render_modes": ["rgb_array", *(["human"] if find_spec("pygame") else [])],
        "render_fps": 30,
    }

    def __init__(self, variant: str = DEFAULT, render_mode: str | None = None) -> None:
        """Make the world."""
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            missing = render_mode == "human"
            why = "needs pygame: pip install 'rlrun[window]'" if missing else f"is unknown: it is {one_of(modes)}"
            raise WorldError(f"render mode {render_mode!r} {why}.")
        self.render_mode = render_mode
        self._batch = Batch(variant, 1)
        self.observation_space: Space[Any] = observation_space(self._batch.layout)
        self.action_space: Space[Any] = action_space(self._batch.layout)
        self.action_names = self._batch.layout.actions
        self._seeded = False
        self._reward = 0.0
        self._painter: Painter | None = None
        self._window: Window | None = None

    @property
    def state(self) -> dict[str, Any]:
        """The world as plain values, which `reset(options={"state": ...})` takes."""
        return write_state(self._batch.layout, self._batch.core.state, 0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the first observation of a new episode and an empty info."""
        state = state_in(options)
        super().reset(seed=seed)
        if seed is None and not self._seeded:
            seed = int(self.np_random.integers(2**31))
        obs = self._batch.reset(
            None if seed is None else np.array([seed], np.int64), None if state is None else [state]
        )
        self._seeded = True
        self._reward = 0.0
        self._show()
        return obs[0].numpy(), {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Return (obs, reward, False, False, info); TimeLimit outside tells of truncation."""
        outcome = self._batch.step(torch.tensor([self._checked(action)]))
        self._reward = float(outcome.reward[0])
        self._show()
        info = {name: values[0].item() for name, values in parts(outcome)}
        return outcome.obs[0].numpy(), self._reward, False, False, info

    def render(self) -> NDArray[np.uint8] | None:
        """Return the picture under "rgb_array"; None under "human", which has shown it already."""
        if self.render_mode is None:
            gymnasium.logger.warn(f'this world has no render mode: make it with render_mode="{self._modes()}".')
        return self._picture() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _modes(self) -> str:
        return str(self.metadata["render_modes"][0])

    def _checked(self, action: Any) -> int:
        names = self.action_names
        try:
            number = operator.index(action)
        except TypeError:  # an array of one element is no number either
            kind = f"{action.dtype} array of shape {action.shape}" if isinstance(action, np.ndarray) else repr(action)
            raise WorldError(f"an action must be a whole number from 0 to {len(names) - 1}, not {kind}.") from None
        if isinstance(action, bool) or not 0 <= number < len(names):
            raise WorldError(f"action {action} is out of range: Waterworld has actions 0 to {len(names) - 1}.")
        return number

    def _picture(self) -> NDArray[np.uint8]:
        if self._painter is None:
            self._painter = Painter(self._batch.core)
        return self._painter.paint(0, self._reward)

    def _show(self) -> None:
        if self.render_mode != "human":
            return
        if self._window is None:
            from .window import Window

            self._window = Window(self._batch.layout, self.metadata["render_fps"])
        self._window.show(self._picture())
