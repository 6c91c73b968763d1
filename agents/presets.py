"""The presets: named configs, each a diff of its parent; docs/presets.md tells how they differ from their papers."""

from __future__ import annotations

from dataclasses import replace

from .config import Config, ConfigError, nearest

DQN = Config()  # the modern Adam settings, as in Dopamine's JAX agents

NATURE = replace(
    DQN,
    optimizer="rmsprop",
    learning_rate=2.5e-4,
    learning_rate_end=2.5e-4,
    optimizer_eps=0.1 / 32,
    target_period_updates=2_500,
    learning_starts=50_000,
    num_envs=1,
    epsilon_end=0.1,
    evaluation_epsilon=0.05,
)

DOUBLE = replace(DQN, double=True)

RAINBOW = replace(
    DOUBLE,
    dueling=True,
    noisy=True,
    distribution="categorical",
    n_step=3,
    priority_exponent=0.5,
    max_grad_norm=10.0,
    epsilon_start=0.0,
    epsilon_end=0.0,
    evaluation_epsilon=0.0,
)

FAST = replace(
    DOUBLE,
    dueling=True,
    n_step=3,
    num_envs=64,
    precision="bfloat16",
)

CLASSIC_CONTROL = replace(
    DOUBLE,
    body="mlp",
    hidden=(),
)

PRESETS: dict[str, tuple[Config, str, str]] = {  # name -> (config, parent, one line)
    "dqn": (DQN, "", "Q-learning with modern Adam settings (Mnih 2015, as tuned in Dopamine)"),
    "nature": (NATURE, "dqn", "the settings of the Nature paper (Mnih 2015)"),
    "double": (DOUBLE, "dqn", "Double DQN (van Hasselt 2016)"),
    "rainbow": (RAINBOW, "double", "all six parts of Rainbow (Hessel 2018)"),
    "fast": (FAST, "double", "the best score a minute that we know"),
    "control": (CLASSIC_CONTROL, "double", "small networks for CartPole and its like"),
}


def preset(name: str) -> Config:
    """Return the preset called `name`; raise ConfigError with the nearest names if there is none."""
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}{nearest(name, PRESETS)}")
    return PRESETS[name][0]
