"""The presets: named configs, each a diff of its parent; docs/presets.md tells how they differ from their papers."""

from __future__ import annotations

from dataclasses import replace

from .config import Config, ConfigError, nearest

DQN = Config(precision="bfloat16")  # the modern Adam settings, as in Dopamine's JAX agents

NATURE = replace(
    DQN,
    precision="float32",  # as the paper's numbers were
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

FAST = replace(  # for two CPU cores: a narrow network whose units cannot die, few large steps, rewards carried far
    DQN,
    width=0.5,
    hidden=(256,),
    layer_norm=True,
    dueling=True,
    n_step=5,
    num_envs=16,
    batch_size=128,
    steps_per_update=32.0,
    learning_rate=5e-4,
    learning_rate_end=1e-4,
    anneal_steps=1_500_000,
    optimizer_eps=1e-6,
    target_period_updates=250,
    target_period_first=50,
    target_growth_updates=8_000,
    learning_starts=4_000,
    replay_capacity=400_000,
    epsilon_steps=100_000,
    exploration_exponent=2.0,  # what takes many equal actions in a row, as in Freeway, is found as well
    checkpoint_steps=50_000,
)

FAST_GPU = replace(FAST, num_envs=64, checkpoint_steps=500_000)  # for a GPU, which answers for many worlds at once

CONTROL = replace(
    DOUBLE,
    precision="float32",
    body="mlp",
    mlp_hidden=(256,),
    hidden=(256,),
    layer_norm=True,
    dueling=True,
    n_step=3,
    reward_clip=0.0,
    num_envs=8,
    batch_size=128,
    steps_per_update=4.0,
    learning_rate=1e-3,
    learning_rate_end=1e-4,
    anneal_steps=100_000,
    optimizer_eps=1e-5,
    target_period_updates=100,
    learning_starts=1_000,
    replay_capacity=100_000,
    epsilon_steps=10_000,
    epsilon_end=0.04,
    evaluation_epsilon=0.0,
    checkpoint_steps=20_000,
)

WATERWORLD_REINFORCEJS = replace(  # a world that never ends: what it pays differs by little and seldom
    CONTROL,
    window=8,  # what slips out of its narrow view is still to be avoided
    initial_value=22.0,  # 1.1 a step for ever: what is learned are the differences
    discount=0.95,
    n_step=5,
    gap_increase=0.7,  # leaving a wall that it slides along costs nearly as much as it brings: no error may decide that
    loss="squared",  # Huber's would take an apple's 5 for little more than 1
    num_envs=2,  # few, so that they grow old: in a world of 10,000 steps most of what still stands is poison
    batch_size=256,
    steps_per_update=16.0,
    learning_rate_end=2e-5,
    anneal_steps=250_000,
    target_period_updates=100,
    learning_starts=2_000,
    replay_capacity=250_000,
    epsilon_steps=50_000,
    epsilon_end=0.05,
    evaluation_epsilon=0.05,
    checkpoint_steps=50_000,
)

WATERWORLD = replace(  # a fifth of the numbers, all of them distances: there is time to look closely
    WATERWORLD_REINFORCEJS,
    knots=(0.0, 0.12, 0.24, 0.36, 0.5, 0.7, 1.0, 1.26),  # a few pixels decide whether it passes or eats
    n_step=3,
    watkins_tolerance=1.0,  # less than an apple, more than a turn
    penalty_scale=2.0,  # it finds more apples than are asked of it, and otherwise eats as much poison as may be
    gap_increase=0.8,
    num_envs=4,
    steps_per_update=24.0,
    relabel_share=0.3,  # it meets ten apples for each poison that it does not avoid
)

PRESETS: dict[str, tuple[Config, str, str]] = {  # name -> (config, parent, one line)
    "dqn": (DQN, "", "Q-learning with modern Adam settings (Mnih 2015, as tuned in Dopamine)"),
    "nature": (NATURE, "dqn", "the settings of the Nature paper (Mnih 2015)"),
    "double": (DOUBLE, "dqn", "Double DQN (van Hasselt 2016)"),
    "rainbow": (RAINBOW, "double", "all six parts of Rainbow (Hessel 2018)"),
    "fast": (FAST, "dqn", "the best score a minute that we know"),
    "fast-gpu": (FAST_GPU, "fast", "the same with the worlds of a GPU: 64"),
    "control": (CONTROL, "double", "small networks for CartPole and its like"),
    "waterworld": (WATERWORLD, "control", "a window of eight observations and raw rewards, for Waterworld"),
    "waterworld-reinforcejs": (WATERWORLD_REINFORCEJS, "waterworld", "the same for its sibling with thirty eyes"),
}


def preset(name: str) -> Config:
    """Return the preset called `name`; raise ConfigError with the nearest names if there is none."""
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}{nearest(name, PRESETS)}")
    return PRESETS[name][0]
