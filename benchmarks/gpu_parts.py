"""The parts of the GPU benchmark: what each measures, and the sizes at which it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import flops
import numpy as np
import rounds
import torch
import update
import waterworld_speed
from filling import fill, random_pictures

import envs as emulators
import rlrun
from rlrun.agents import accelerator
from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.presets import preset
from rlrun.agents.relabel import Counterpart
from rlrun.agents.replay import Replay
from rlrun.agents.train import Envs, Progress, train
from rlrun.agents.turns import train_as_they_step
from rlrun.agents.updates import EagerUpdates, Updates
from rlrun.agents.window import windowed
from rlrun.envs import World

SHAPE, ACTIONS = (4, 84, 84), 4


@dataclass(frozen=True)
class Size:
    """How much of everything is measured."""

    device: str = "cuda"
    seconds: float = 10.0  # of each measurement
    repeats: int = 3
    envs: int = 64
    threads: int = 0  # of the emulators; 0 for all cores
    capacity: int = 1_000_000  # of a replay that is trained from, agent steps
    filled: int = 100_000  # of one that is filled beforehand
    learning_starts: int = 10_000  # agent steps
    batch: int = 0  # transitions; 0 for the preset's
    width: float = 0.0  # of the networks; 0 for the preset's
    worlds: int = 65_536  # waterworlds that step
    learners: int = 1_024  # waterworlds that are learned from


FULL = Size()
TINY = Size(
    "cpu",
    seconds=0.05,
    repeats=1,
    envs=4,
    threads=1,
    capacity=400,
    filled=400,
    learning_starts=40,
    batch=4,
    width=0.1,
    worlds=64,
    learners=4,
)

Loop = Callable[[DQN, Envs, Replay, Config, Progress], Iterator[Progress]]


def device_loop(agent: DQN, envs: Envs, replay: Replay, config: Config, progress: Progress) -> Iterator[Progress]:
    """Train as `rlrun train` does on the agent's device: with CUDA graphs on a GPU."""
    return train_as_they_step(agent, envs, replay, config, progress, accelerator.build_updates(agent, replay, config))


# What turns an agent, worlds, a replay and settings into progress; first what users get.
LOOPS: dict[str, Loop] = {"graphs": device_loop, "eager": train}


UPDATERS: dict[str, Callable[[DQN, Replay, Config], Updates]] = {  # who makes the updates, likewise
    "graphs": accelerator.build_updates,
    "eager": EagerUpdates,
}

COMPILED = {"compile": True}
LARGE = {"width": 1.0, "hidden": "512", "double": True, "n_step": 3, "batch_size": 256, "steps_per_update": 64.0}

Row = dict[str, Any]  # what, value, unit, target


def classic(size: Size) -> Iterator[Row]:
    """Yield the speed of training at the classic ratio, one update of 32 for every 4 agent steps, as `dqn` has it."""
    for name, precision, settings in (
        ("graphs", "bfloat16", COMPILED),
        ("graphs", "bfloat16", {}),
        ("graphs", "float32", {}),
        ("eager", "bfloat16", {}),
    ):
        config = settings_of("dqn", size, {"num_envs": size.envs, "precision": precision, **settings})
        with Training(LOOPS[name], config, size, breakout(size, size.envs)) as trained:
            speed = median(trained.speed(size.seconds) for _ in range(size.repeats))
        yield row(f"32 per 4 steps, {precision}, {variant(name, config)}", speed, "agent steps/s", 12_000)


def fast(size: Size) -> Iterator[Row]:
    """Yield the speed of training a whole Nature network, a batch of 256 for every 64 agent steps.

    In turns with its worlds alone, which are its ceiling.
    """
    for name, envs in (("graphs", size.envs), ("graphs", 2 * size.envs), ("eager", size.envs)):
        config = settings_of("fast-gpu", size, {"num_envs": envs, **LARGE})
        ceilings, speeds = [], []
        with Training(LOOPS[name], config, size, breakout(size, envs)) as trained:
            alone = rlrun.make("Breakout", envs, 0, "nature", num_threads=size.threads, device="cuda")
            for _ in range(size.repeats):
                ceilings.append(emulators.speed(alone, size.seconds / 3)["steps_per_second"])
                speeds.append(trained.speed(size.seconds))
            alone.close()
            shares = {key: 100 * spent / sum(trained.sections.values()) for key, spent in trained.sections.items()}
        told = f"256 per 64 steps, {envs} worlds, {name}"
        yield row(told, median(speeds), "agent steps/s", 33_000)
        yield row("  the emulators alone", median(ceilings), "agent steps/s")
        share = median(100 * speed / ceiling for speed, ceiling in zip(speeds, ceilings, strict=True))
        yield row("  of the emulators", share, "%", 80)
        for section, percent in shares.items():
            yield row(f"  time in {section}", percent, "%")


def impala(size: Size) -> Iterator[Row]:
    """Yield the updates a second of an IMPALA network of twice the width at batch 256, sampling included."""
    settings = {"body": "impala", "width": size.width or 2.0, "batch_size": size.batch or 256, "precision": "bfloat16"}
    settings |= {"dueling": True, "double": True, "n_step": 3, "num_envs": size.envs}
    settings |= {"replay_capacity": size.filled, "learning_starts": 0}
    device = torch.device(size.device)
    peak = update.peak(torch.bfloat16, device)["gflops"] if device.type == "cuda" else 0.0
    replay = replay_of(preset("dqn").with_settings(settings), size)
    fill(replay, random_pictures(size.envs, SHAPE, device))
    for name, extra in (("graphs", COMPILED), ("graphs", {}), ("eager", {})):
        config = preset("dqn").with_settings({**settings, **extra})
        work = flops.update_flops(config, SHAPE, ACTIONS)
        agent = accelerator.build_agent(config, SHAPE, ACTIONS, seed=0, device=device)
        call = partial(UPDATERS[name](agent, replay, config), 1, Progress.begin(np.zeros((config.num_envs, 1))))
        for _ in range(update.WARM_UP):
            call()
        settle = partial(update.settle, device)
        spent = [rounds.seconds_a_call(call, size.seconds, settle) for _ in range(size.repeats)]
        told = f"impala x{config.width:g}, batch {config.batch_size}, {variant(name, config)}"
        yield row(told, 1 / median(spent), "updates/s", 150)
        yield row(f"  its arithmetic, {work / 1e9:.0f} GFLOP an update", work / median(spent) / 1e12, "TFLOP/s")
    if peak:
        yield row("  one large product in bfloat16", peak / 1e3, "TFLOP/s")


def waterworld(size: Size) -> Iterator[Row]:
    """Yield the world-steps a second of many waterworlds, random actions."""
    told = waterworld_speed.measured("rldemo", size.worlds, torch.device(size.device), size.seconds, size.repeats)
    yield row(f"{size.worlds:,} waterworlds", told["median"], "world-steps/s", 100e6)
    config = preset("waterworld").with_settings({"num_envs": size.learners, "learning_starts": 20 * size.learners})
    worlds = rlrun.make("Waterworld", size.learners, 0, device=size.device)
    with Training(device_loop, config, size, windowed(worlds, config)) as trained:
        speed = median(trained.speed(size.seconds / 2) for _ in range(size.repeats))
    yield row(f"the preset waterworld, {size.learners:,} worlds", speed, "agent steps/s")


def updates(size: Size) -> Iterator[Row]:
    """Yield the milliseconds of single updates, eager, sampling left out: what the two loops are made of."""
    for network, batch in (("nature", 32), ("nature", 256), ("fast", 256)):
        for precision in ("bf16", "fp32"):
            one = update.Update(network, size.batch or batch, precision, torch.device(size.device))
            told = [one.measure(size.seconds / 10)["ms"] for _ in range(size.repeats)]
            yield row(f"an update: {network}, batch {size.batch or batch}, {precision}, eager", median(told), "ms")


class Training:
    """A run that learns, to be gone on with for some seconds at a time."""

    def __init__(self, loop: Loop, config: Config, size: Size, envs: Any) -> None:
        """Build it around `envs`, which it closes, and let it go on until it has learned a little."""
        self.envs = envs
        self.device, self.per_update = torch.device(size.device), config.steps_per_update
        space = envs.single_observation_space
        actions = int(envs.single_action_space.n)
        agent = accelerator.build_agent(config, space.shape, actions, seed=0, device=self.device)
        self.progress = Progress.begin(envs.reset()[0])
        dtype = torch.uint8 if space.dtype == np.uint8 else torch.float32
        replay = replay_of(config, size, space.shape, dtype, counterpart=envs.counterpart)
        self.run = loop(agent, envs, replay, config, self.progress)
        while self.progress.updates < 3 * config.num_envs / self.per_update:
            next(self.run)

    def __enter__(self) -> Training:
        """Return it, to be closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the worlds."""
        self.envs.close()

    @property
    def sections(self) -> dict[str, float]:
        """What the loop's time was spent on, seconds."""
        return self.progress.seconds

    def speed(self, seconds: float) -> float:
        """Return the agent steps a second; RuntimeError if there were not as many updates as there must be."""
        steps, learned = self.progress.step, self.progress.updates
        update.settle(self.device)
        start = time.perf_counter()
        while time.perf_counter() - start < seconds or self.progress.updates == learned:
            next(self.run)
        update.settle(self.device)
        spent = time.perf_counter() - start
        steps, learned = self.progress.step - steps, self.progress.updates - learned
        if abs(learned - steps / self.per_update) > self.envs.num_envs / self.per_update + 1:
            raise RuntimeError(f"{learned} updates in {steps} steps, not one for every {self.per_update:g}")
        return steps / spent


def settings_of(name: str, size: Size, settings: dict[str, Any]) -> Config:
    """Return a preset that learns soon and acts by its network."""
    settings |= {"learning_starts": size.learning_starts, "replay_capacity": size.capacity}
    settings |= {"epsilon_start": 0.01, "epsilon_end": 0.01}
    if size.batch:
        settings |= {"batch_size": size.batch, "width": size.width, "steps_per_update": 8.0}
    return preset(name).with_settings(settings)


def breakout(size: Size, envs: int) -> World:
    """Return the worlds of a run on a GPU, in halves: a rehearsal steps them as the GPU would."""
    return rlrun.make("Breakout", envs, 0, "nature", num_threads=size.threads, device="cuda")


def replay_of(
    config: Config,
    size: Size,
    shape: Sequence[int] = SHAPE,
    dtype: torch.dtype = torch.uint8,
    counterpart: Counterpart | None = None,
) -> Replay:
    """Return an empty replay as `rlrun train` has it on the device: with kernels on a GPU."""
    return accelerator.build_replay(config, shape, dtype, device=size.device, counterpart=counterpart)


def variant(name: str, config: Config) -> str:
    """Return the name of who makes the updates, and whether the networks are compiled."""
    return f"{name}, compiled" if config.compile else name


def row(what: str, value: float, unit: str, target: float | None = None) -> Row:
    return {"what": what, "value": value, "unit": unit, "target": target}


PARTS: dict[str, tuple[Callable[[Size], Iterator[Row]], float]] = {  # each with its box of seconds
    "waterworld": (waterworld, 50.0),
    "impala": (impala, 120.0),
    "classic": (classic, 170.0),
    "fast": (fast, 160.0),
    "updates": (updates, 50.0),
}
