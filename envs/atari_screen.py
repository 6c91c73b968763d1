"""AtariScreen: an Atari game to watch, in colour and at every emulator frame."""

from __future__ import annotations

from typing import Any

import ale_py
from ale_py import roms
from numpy.typing import NDArray

from .atari import AtariWorld
from .errors import WorldError
from .protocol import protocol_named
from .screen import Frame, Screen
from .world import sub_seeds

FRAMES_PER_SECOND = 60


class AtariScreen(Screen):
    """One Atari game whose observations are those of copy 0 of an AtariWorld with the same seed.

    They come from an AtariWorld, so what an agent sees here is what it saw in training. That world shows no colours;
    a second emulator, with the same seed and the same frames of the same actions, draws them. Sticky actions and
    no-ops agree too, and every step compares lives and reward, so a picture out of step raises WorldError.
    `frames` holds the 4 frames of a step (fewer at an end), uint8 (210, 160, 3) for nearly all games; one at a reset.
    """

    def __init__(
        self,
        rom: str,
        seed: int = 0,
        protocol: str = "machado",
        *,
        full_action_set: bool = False,
        max_episode_steps: int | None = None,
    ) -> None:
        """Start the game and the second emulator; arguments and errors are those of AtariWorld."""
        world = AtariWorld(rom, 1, seed, protocol, full_action_set=full_action_set, max_episode_steps=max_episode_steps)
        super().__init__(world, FRAMES_PER_SECOND)
        self._ale = ale_py.ALEInterface()
        self._ale.setFloat("repeat_action_probability", protocol_named(protocol).repeat_action_probability)
        self._ale.setInt("random_seed", int(sub_seeds(seed, 1)[0]))
        path = roms.get_rom_path(rom)
        assert path is not None  # AtariWorld has found it
        self._ale.loadROM(path)
        self._actions = [getattr(ale_py.Action, name) for name in world.action_names]

    def _pictures(self, action: int, reward: float, info: dict[str, Any]) -> list[Frame]:
        ale = self._ale
        frames: list[Frame] = []
        drawn_reward = 0
        if info["reset"]:
            ale.reset_game()
            while ale.getFrameNumber() < info["frame_number"]:
                ale.act(ale_py.Action.NOOP)
                if ale.game_over():
                    ale.reset_game()
            frames.append(self._picture())
        # The frame number, not a count of 4, ends the step: a game over or the cap cuts it short.
        while ale.getFrameNumber() < info["frame_number"]:
            drawn_reward += ale.act(self._actions[action])
            frames.append(self._picture())
        if ale.lives() != info["lives"] or drawn_reward != reward:
            raise WorldError(f"{self.name}: the picture fell out of step with the game; reset it.")
        return frames

    def _picture(self) -> Frame:
        picture: NDArray[Any] = self._ale.getScreenRGB()
        return picture
