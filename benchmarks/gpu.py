"""Gpu: everything that is promised of one GPU, measured inside one ten-minute call and told as one table.

Each part runs in a process of its own and has a box of seconds: a part that hangs, runs out of memory or leaves the GPU
in an error costs its box and is told as a line, and the others still run. What a part has measured until then counts.
It needs torch, numpy, gymnasium and ale-py, and rlrun only as the checkout that this file lies in.
`--rehearse` takes the same path on a CPU with tiny sizes, in less than a minute: its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if importlib.util.find_spec("rlrun") is None:  # not installed: this checkout is the package, whatever its folder's name
    spec = importlib.util.spec_from_file_location("rlrun", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["rlrun"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["rlrun"])

import flops  # noqa: E402
import machine  # noqa: E402
import rounds  # noqa: E402
import torch  # noqa: E402
import update  # noqa: E402
import waterworld_speed  # noqa: E402
from filling import fill, random_pictures  # noqa: E402

import envs as emulators  # noqa: E402
import rlrun  # noqa: E402
from rlrun.agents.config import Config  # noqa: E402
from rlrun.agents.dqn import DQN  # noqa: E402
from rlrun.agents.presets import preset  # noqa: E402
from rlrun.agents.replay import Replay  # noqa: E402
from rlrun.agents.train import Envs, Progress, train  # noqa: E402

SHAPE, ACTIONS = (4, 84, 84), 4
MARK = "row: "  # what a part's lines of results begin with


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
    worlds: int = 65_536  # waterworlds


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
)

# What turns an agent, worlds, a replay and settings into progress: another loop, such as one with CUDA graphs, is
# another entry.
Loop = Callable[[DQN, Envs, Replay, Config, Progress], Iterator[Progress]]
LOOPS: dict[str, Loop] = {"eager": train}


def eager_updates(agent: DQN, replay: Replay, config: Config) -> Callable[[], object]:
    """Return what samples, learns and writes the priorities back, once a call."""

    def one() -> None:
        batch = replay.sample(config.batch_size, config.importance_exponent(0))
        replay.update(batch.index, agent.learn(batch))

    return one


UPDATERS: dict[str, Callable[[DQN, Replay, Config], Callable[[], object]]] = {"eager": eager_updates}  # likewise

Row = dict[str, Any]  # what, value, unit, target


def classic(size: Size) -> Iterator[Row]:
    """Yield the speed of training at the classic ratio, one update of 32 for every 4 agent steps, as `dqn` has it."""
    for name, loop in LOOPS.items():
        for precision in ("bfloat16", "float32"):
            settings = {"num_envs": size.envs, "precision": precision}
            trained = Training(loop, settings_of("dqn", size, settings), size)
            with trained:
                speed = median(trained.speed(size.seconds) for _ in range(size.repeats))
            yield row(f"32 per 4 steps, {precision}, {name}", speed, "agent steps/s", 12_000)


def fast(size: Size) -> Iterator[Row]:
    """Yield the speed of the preset `fast-gpu`, in turns with its worlds alone, which are its ceiling."""
    for name, loop in LOOPS.items():
        config = settings_of("fast-gpu", size, {"num_envs": size.envs})
        ceilings, speeds = [], []
        with Training(loop, config, size) as trained:
            alone = rlrun.make("Breakout", size.envs, 0, "nature", num_threads=size.threads)
            for _ in range(size.repeats):
                ceilings.append(emulators.speed(alone, size.seconds / 3)["steps_per_second"])
                speeds.append(trained.speed(size.seconds))
            alone.close()
            shares = {key: 100 * spent / sum(trained.sections.values()) for key, spent in trained.sections.items()}
        yield row(f"fast-gpu, {name}", median(speeds), "agent steps/s", 33_000)
        yield row(f"the emulators alone, {size.envs} worlds", median(ceilings), "agent steps/s")
        share = median(100 * speed / ceiling for speed, ceiling in zip(speeds, ceilings, strict=True))
        yield row(f"fast-gpu, {name}, of the emulators", share, "%", 80)
        for section, percent in shares.items():
            yield row(f"fast-gpu, {name}, time in {section}", percent, "%")


def impala(size: Size) -> Iterator[Row]:
    """Yield the updates a second of an IMPALA network of twice the width at batch 256, sampling included."""
    settings = {"body": "impala", "width": size.width or 2.0, "batch_size": size.batch or 256, "precision": "bfloat16"}
    settings |= {"dueling": True, "double": True, "n_step": 3, "num_envs": size.envs}
    settings |= {"replay_capacity": size.filled, "learning_starts": 0}
    config = preset("dqn").with_settings(settings)
    device = torch.device(size.device)
    replay = replay_of(config, size)
    fill(replay, random_pictures(config.num_envs, SHAPE, device))
    work = flops.update_flops(config, SHAPE, ACTIONS)
    peak = update.peak(torch.bfloat16, device)["gflops"] if device.type == "cuda" else 0.0
    for name, make in UPDATERS.items():
        agent = DQN(config, SHAPE, ACTIONS, seed=0, device=device)
        call = make(agent, replay, config)
        for _ in range(update.WARM_UP):
            call()
        settle = partial(update.settle, device)
        spent = [rounds.seconds_a_call(call, size.seconds, settle) for _ in range(size.repeats)]
        yield row(f"impala x{config.width:g}, batch {config.batch_size}, {name}", 1 / median(spent), "updates/s", 150)
        yield row(f"  its arithmetic, {work / 1e9:.0f} GFLOP an update", work / median(spent) / 1e12, "TFLOP/s")
    if peak:
        yield row("  one large product in bfloat16", peak / 1e3, "TFLOP/s")


def waterworld(size: Size) -> Iterator[Row]:
    """Yield the world-steps a second of many waterworlds, random actions."""
    told = waterworld_speed.measured("rldemo", size.worlds, torch.device(size.device), size.seconds, size.repeats)
    yield row(f"{size.worlds:,} waterworlds", told["median"], "world-steps/s", 100e6)


def updates(size: Size) -> Iterator[Row]:
    """Yield the milliseconds of single updates, eager, sampling left out: what the two loops are made of."""
    for network, batch in (("nature", 32), ("nature", 256), ("fast", 256)):
        for precision in ("bf16", "fp32"):
            one = update.Update(network, size.batch or batch, precision, torch.device(size.device))
            told = [one.measure(size.seconds / 10)["ms"] for _ in range(size.repeats)]
            yield row(f"an update: {network}, batch {size.batch or batch}, {precision}, eager", median(told), "ms")


PARTS: dict[str, tuple[Callable[[Size], Iterator[Row]], float]] = {  # each with its box of seconds
    "waterworld": (waterworld, 70.0),
    "impala": (impala, 80.0),
    "fast": (fast, 120.0),
    "classic": (classic, 150.0),
    "updates": (updates, 60.0),
}


class Training:
    """A run of Breakout that learns, to be gone on with for some seconds at a time."""

    def __init__(self, loop: Loop, config: Config, size: Size) -> None:
        """Build it and let it go on until it has learned a little."""
        self.envs = rlrun.make("Breakout", config.num_envs, 0, "nature", num_threads=size.threads)
        self.device, self.per_update = torch.device(size.device), config.steps_per_update
        agent = DQN(config, SHAPE, int(self.envs.single_action_space.n), seed=0, device=self.device)
        self.progress = Progress.begin(self.envs.reset()[0])
        self.run = loop(agent, self.envs, replay_of(config, size), config, self.progress)
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


def replay_of(config: Config, size: Size) -> Replay:
    """Return an empty replay on the device."""
    return Replay(
        config.replay_capacity,
        config.num_envs,
        SHAPE,
        stack=SHAPE[0],
        n_step=config.n_step,
        discount=config.discount,
        priority_exponent=config.priority_exponent,
        seed=0,
        device=size.device,
    )


def row(what: str, value: float, unit: str, target: float | None = None) -> Row:
    return {"what": what, "value": value, "unit": unit, "target": target}


def in_process(part: str, options: argparse.Namespace, box: float) -> tuple[list[Row], str]:
    """Return what a part measured in a process of its own, and, if it did not come to its end, why."""
    command = [sys.executable, __file__, "--part", part, *(["--rehearse"] if options.rehearse else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=box)
        failure = (
            "" if process.returncode == 0 else (err.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        )
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        failure = f"out of time after {box:.3g} s"
    if failure:
        print(f"--- {part}: {failure}\n{err[-3000:]}", file=sys.stderr, flush=True)
    return [json.loads(line[len(MARK) :]) for line in out.splitlines() if line.startswith(MARK)], failure


def main() -> None:
    options = _options()
    if options.part:
        torch.backends.cudnn.benchmark = not options.rehearse  # every batch of a part has the same shape
        if options.rehearse:
            torch.set_num_threads(1)
        for measured in PARTS[options.part][0](TINY if options.rehearse else FULL):
            print(MARK + json.dumps(measured), flush=True)
        return
    start = time.perf_counter()
    told = [["part", "what", "value", "unit", "target", "met"]]
    rows: list[Row] = []
    failures: dict[str, str] = {}
    for part in options.parts:
        left = options.seconds - (time.perf_counter() - start)
        box = min(PARTS[part][1], left)
        measured, failure = in_process(part, options, box) if left > 1 else ([], "no time was left for it")
        for one in measured:
            rows.append({"part": part, **one, "met": met(one, options.rehearse)})
            target = "" if one["target"] is None else f"{one['target']:,.0f}"
            told.append([part, one["what"], f"{one['value']:,.4g}", one["unit"], target, rows[-1]["met"]])
        if failure:
            failures[part] = failure
            told.append([part, f"failed: {failure}", "", "", "", ""])
        print(
            f"{part}: {len(measured)} numbers, {time.perf_counter() - start:.0f} s so far", file=sys.stderr, flush=True
        )
    name = "rehearsal on a CPU" if options.rehearse else torch.cuda.get_device_name()
    print(f"{name}; {machine.cores()} cores; {time.perf_counter() - start:.0f} s")
    result = {"kind": "gpu", "device": name, "rows": rows, "failures": failures, "rehearsal": options.rehearse}
    rounds.tell(options, told, rows, result)
    if failures:
        sys.exit(1)


def met(measured: Row, rehearsal: bool) -> str:
    """Return whether a target is met, in a word; a rehearsal meets none."""
    if measured["target"] is None:
        return ""
    if rehearsal:
        return "rehearsed"
    return "yes" if measured["value"] >= measured["target"] else "no"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=560.0, help="for everything together")
    parser.add_argument("--rehearse", action="store_true", help="the same on a CPU with tiny sizes")
    rounds.add_output(parser)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)  # what in_process asks for
    options = parser.parse_args()
    rounds.at_least(parser, options, seconds=1)
    if not options.rehearse and not torch.cuda.is_available():
        parser.error("torch sees no GPU; --rehearse takes the same path on a CPU")
    return options


if __name__ == "__main__":
    main()
