"""Update: milliseconds of one learning update, and how near that is to what the arithmetic alone would take.

For each network, batch size and precision: the median over rounds of one update's time as a run on a CPU makes it, in
pools and by script; the time of one made by single operations, and its parts (target, forward, backward, optimiser, the
rest); its operations, counted from the layers' shapes; and the floor, those operations at the speed that this process
reaches in matrix products of that precision, measured in the same rounds. "% of roofline" is the floor over the time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import flops
import machine
import rounds
import torch
from steady import script_at_once
from torch import Tensor

from rlrun.agents import accelerator
from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.presets import preset
from rlrun.agents.progress import Progress
from rlrun.agents.replay import Batch, Replay
from rlrun.agents.updates import eager_updates
from rlrun.cli.tuning import tune_process

PIXELS, ACTIONS = (4, 84, 84), 4
NETWORKS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {  # preset, settings, shape of an observation
    "nature": ("dqn", {}, PIXELS),
    "nature-half": ("dqn", {"width": 0.5}, PIXELS),
    "fast": ("fast", {}, PIXELS),
    "impala": ("dqn", {"body": "impala"}, PIXELS),
    "mlp": ("control", {}, (4,)),
}
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}
PARTS = ("target", "forward", "backward", "optimiser", "rest")
PRODUCT = {"cpu": 2_048, "cuda": 8_192}  # rows and columns of the matrices whose product tells the peak
WARM_UP = 3  # updates


def main() -> None:
    options = _options()
    machine.warn_if_busy()
    tune_process(options.threads)
    script_at_once()
    device = torch.device(options.device)
    variants: dict[str, Callable[[], rounds.Row]] = {
        f"peak {name}": partial(peak, getattr(torch, PRECISIONS[name]), device) for name in options.precision
    }
    for network in options.network:
        for size in options.batch:
            for precision in options.precision:
                update = Update(network, size, precision, device)
                variants[f"{network} {size} {precision}"] = partial(update.measure, options.seconds)
    rows = rounds.take_turns(variants, options.rounds)
    result = summary(rows, options)
    rounds.tell(options, lines(result), rows, result)


def settle(device: torch.device) -> None:
    """Wait until everything that was asked of `device` is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak(dtype: torch.dtype, device: torch.device) -> rounds.Row:
    """Return the speed of one large matrix product, GFLOP/s: what a processor reaches at best."""
    size = PRODUCT[device.type]
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty(size, size, dtype=dtype, device=device)
    torch.mm(left, right, out=out)
    seconds = rounds.seconds_a_call(lambda: torch.mm(left, right, out=out), 0.3, lambda: settle(device))
    return {"gflops": 2 * size**3 / seconds / 1e9}


class Update:
    """One agent's update on one batch of random observations, to be timed."""

    def __init__(self, network: str, batch_size: int, precision: str, device: torch.device) -> None:
        """Build the agent and the batch; take the first updates, which no clock sees."""
        name, settings, shape = NETWORKS[network]
        self.config = preset(name).with_settings(
            {**settings, "batch_size": batch_size, "precision": PRECISIONS[precision]}
        )
        self.device = device
        self.agent = accelerator.build_agent(self.config, shape, ACTIONS, seed=0, device=device)
        self.batch = random_batch(self.config, shape, device)
        self.clock = PartClock(self.agent, device)
        self.updates = eager_updates(self.agent, cast(Replay, Given(self.batch)), self.config)
        self.progress = Progress.begin(torch.zeros(1))
        # As many as fall due at once, where each step of all worlds brings some.
        self.due = max(1, int(self.config.num_envs / self.config.steps_per_update))
        for _ in range(WARM_UP):
            self.agent.learn(self.batch)
            self.trained()

    def trained(self) -> None:
        """Make the updates that are due, as a run does: on a GPU that would be graphs, which `gpu.py` measures."""
        if self.device.type == "cpu":
            self.updates(self.due, self.progress)
        else:
            for _ in range(self.due):
                self.agent.learn(self.batch)

    def measure(self, seconds: float) -> rounds.Row:
        """Return the milliseconds of an update, as a run makes it and by single operations, and then of its parts."""
        wait = partial(settle, self.device)
        trained = rounds.seconds_a_call(self.trained, seconds, wait) / self.due
        single = rounds.seconds_a_call(lambda: self.agent.learn(self.batch), seconds / 2, wait)
        parts = self.clock.parts(lambda: self.agent.learn(self.batch), seconds / 2)  # by themselves: clocks cost some
        return {"ms": 1e3 * trained, "single": 1e3 * single, **parts}


class Given:
    """A replay that has one batch to give, again and again."""

    def __init__(self, batch: Batch) -> None:
        """Give `batch`, of which there are no priorities."""
        self._pools = {1: batch}

    def sample(self, size: int, importance_exponent: float | Tensor = 0.0, count: int = 1) -> Batch:
        """Return the batch `count` times, one after the other, as `Replay.sample` returns as many."""
        if count not in self._pools:
            self._pools[count] = Batch(*(torch.cat([field] * count) for field in self._pools[1]))
        return self._pools[count]

    def update(self, index: Tensor, priority: Tensor) -> None:
        """Forget the priorities."""


def random_batch(config: Config, shape: tuple[int, ...], device: torch.device) -> Batch:
    """Return a batch of random observations, as a replay would hand it out."""
    generator = torch.Generator().manual_seed(0)
    size = config.batch_size

    def observations() -> Tensor:
        if len(shape) == 3:
            return torch.randint(0, 256, (size, *shape), dtype=torch.uint8, generator=generator).to(device)
        return torch.randn(size, *shape, generator=generator).to(device)

    return Batch(
        obs=observations(),
        action=torch.randint(ACTIONS, (size,), generator=generator).to(device),
        reward=torch.randn(size, generator=generator).to(device),
        discount=torch.full((size,), config.discount, device=device),
        next_obs=observations(),
        weight=torch.ones(size, device=device),
        index=torch.arange(size, device=device),
    )


class PartClock:
    """Tells the parts of an update apart, by hooks on the networks and wrappers around the optimiser's two halves.

    On a GPU each reading waits for the device, so there the parts add up to more than the whole.
    """

    def __init__(self, agent: DQN, device: torch.device) -> None:
        """Hook into `agent`; nothing is timed until `parts`."""
        self.agent, self.device = agent, device

    def parts(self, call: Callable[[], object], seconds: float) -> rounds.Row:
        """Return the mean milliseconds of each part of `call`, over as many calls as fit into `seconds`."""
        spent = dict.fromkeys(PARTS, 0.0)
        began = [0.0]

        def now() -> float:
            settle(self.device)
            return time.perf_counter()

        def start(*_: Any) -> None:
            began[0] = now()

        def stop(*_: Any) -> None:
            # Only what learns has gradients: the target network and a double target's choice go without.
            spent["forward" if torch.is_grad_enabled() else "target"] += now() - began[0]

        def timed(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(*arguments: Any) -> Any:
                before = now()
                result = call(*arguments)
                spent[part] += now() - before
                return result

            return wrapper

        optimiser = self.agent.optimiser
        networks = (self.agent.online, self.agent.target)
        hooks = [network.body.register_forward_pre_hook(start) for network in networks]
        hooks += [network.head.register_forward_hook(stop) for network in networks]
        optimiser.gradients = timed("backward", optimiser.gradients)  # type: ignore[method-assign]
        optimiser.move = timed("optimiser", optimiser.move)  # type: ignore[method-assign]
        calls, first = 0, now()
        try:
            while calls == 0 or time.perf_counter() - first < seconds:
                call()
                calls += 1
            total = now() - first
        finally:
            del optimiser.gradients, optimiser.move
            for hook in hooks:
                hook.remove()
        spent["rest"] = total - sum(spent.values())
        return {part: 1e3 * value / calls for part, value in spent.items()}


def summary(rows: list[rounds.Row], options: argparse.Namespace) -> dict[str, Any]:
    """Return every variant's medians, with its operations, its floor and its share of the roofline."""
    medians = rounds.medians(rows)
    peaks = {name: medians[f"peak {name}"]["gflops"] for name in options.precision}
    updates = []
    for network in options.network:
        name, settings, shape = NETWORKS[network]
        for size in options.batch:
            config = preset(name).with_settings({**settings, "batch_size": size})
            operations = flops.update_flops(config, shape, ACTIONS)
            for precision in options.precision:
                told = medians[f"{network} {size} {precision}"]
                floor = operations / peaks[precision] / 1e6
                updates.append(
                    {"network": network, "batch": size, "precision": precision, "gflop": round(operations / 1e9, 4)}
                    | {"floor_ms": floor, "percent_of_roofline": 100 * floor / told["ms"]}
                    | {name: told[name] for name in ("ms", "single", *PARTS)}
                )
    return {
        "kind": "update",
        "device": options.device,
        "threads": torch.get_num_threads(),
        "rounds": options.rounds,
        "peak_gflops": peaks,
        "updates": updates,
    }


def lines(result: dict[str, Any]) -> list[list[str]]:
    """Return the table's cells, a line for each variant."""
    told = [["network", "batch", "precision", "GFLOP", "floor ms", "ms", "% of roofline", "single ms", *PARTS]]
    for update in result["updates"]:
        told.append(
            [update["network"], str(update["batch"]), update["precision"]]
            + [f"{update[name]:.3g}" for name in ("gflop", "floor_ms")]
            + [f"{update['ms']:.2f}", f"{update['percent_of_roofline']:.0f}", f"{update['single']:.2f}"]
            + [f"{update[part]:.2f}" for part in PARTS]
        )
    for precision, speed in result["peak_gflops"].items():
        told.append([f"peak {precision}: {speed:.0f} GFLOP/s", *[""] * (len(told[0]) - 1)])
    return told


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batch", nargs="+", type=int, default=[32, 128, 256])
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="of torch; all cores by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="of each variant in a round, and half of it for the parts"
    )
    rounds.add_output(parser)
    options = parser.parse_args()
    rounds.at_least(parser, options, batch=1, threads=0, rounds=1, seconds=0)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU that torch sees")
    return options


if __name__ == "__main__":
    main()
