"""Registering Waterworld with gymnasium, without loading it: importing rlrun does so."""

from __future__ import annotations

import gymnasium

ID = "rlrun/Waterworld-v0"
EPISODE_STEPS = 10_000  # before truncation: the task never ends by itself


def register() -> None:
    """Make `gymnasium.make` and `gymnasium.make_vec` know Waterworld; a second call does nothing."""
    if ID not in gymnasium.registry:
        gymnasium.register(
            ID,
            entry_point=f"{__package__}.env:WaterworldEnv",
            vector_entry_point=f"{__package__}.vector_env:WaterworldVectorEnv",
            max_episode_steps=EPISODE_STEPS,
        )
