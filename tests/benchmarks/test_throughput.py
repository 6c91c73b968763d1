"""Throughput: what counts as the same work, and what the closing object says."""

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def throughput(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("throughput")


def row(side: str, speed: float, pair: int = 1, parameters: int = 10, updates_per_step: float = 0.25) -> dict[str, Any]:
    told = {"pair": pair, "side": side, "envs": 1, "steps": 4_000, "parameters": parameters}
    return told | {"steps_per_second": speed, "updates_per_step": updates_per_step}


def options(**changed: Any) -> Namespace:
    named: dict[str, Any] = {"work": "breakout", "peers": ["sb3", "tianshou"], "pairs": 2, "seconds": 1.0, "envs": 8}
    return Namespace(**(named | {"peer_envs": 1, "threads": 2, "warm_up_updates": 5} | changed))


def test_the_ratios_are_medians_of_each_pairs_own_ratio(throughput: ModuleType) -> None:
    rows = [
        *(row("rlrun", 200, 1), row("sb3", 100, 1), row("rlrun-bf16", 300, 1)),
        *(row("rlrun", 120, 2), row("sb3", 40, 2), row("rlrun-bf16", 200, 2)),
    ]
    told = throughput.summary(rows, {"tianshou": "No module named 'tianshou'"}, options())
    assert told["ratio_fp32"] == 2.5  # of 2 and 3
    assert told["ratio_bf16"] == 4.0  # of 3 and 5
    assert told["ratio_fp32_over"] == {"sb3": 2.5}
    table = throughput.lines(rows, told)
    assert table[-1][0] == "tianshou: not installed"
    assert len({len(line) for line in table}) == 1


def test_a_side_with_another_network_is_refused(throughput: ModuleType) -> None:
    with pytest.raises(SystemExit, match="the networks differ"):
        throughput.check([row("rlrun", 1), row("sb3", 1, parameters=11)], 4)


def test_a_side_that_learned_less_is_refused(throughput: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"sb3 made 0\.2 updates a step instead of 0\.25"):
        throughput.check([row("rlrun", 1), row("sb3", 1, updates_per_step=0.2)], 4)


def test_the_clock_runs_from_the_end_of_the_warm_up(throughput: ModuleType) -> None:
    watch = throughput.Stopwatch(warm_up_updates=2, seconds=0.0)
    watch.updated()
    assert not watch.over(100)
    watch.updated()
    assert not watch.over(104)  # from here on
    watch.updated()
    assert watch.over(108)
    assert (watch.steps, watch.counted) == (4, 1)


def test_a_peer_that_does_not_import_is_said_and_not_an_error(
    throughput: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any) -> int:
        raise ImportError("No module named 'tianshou'")

    monkeypatch.setattr(throughput, "count_updates", lambda _: None)
    monkeypatch.setitem(throughput.RUNS, "tianshou", run)
    told = throughput.measure(options(side="tianshou", threads=1))
    assert told == {"missing": "No module named 'tianshou'"}


def test_rlruns_side_makes_one_update_for_four_steps(scripts: Path) -> None:
    command = [sys.executable, str(scripts / "throughput.py"), "--side", "rlrun", "--work", "cartpole"]
    command += ["--threads", "1", "--seconds", "0.2", "--warm-up-updates", "2"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["parameters"] == (4 * 64 + 64) + (64 * 64 + 64) + (64 * 2 + 2)
    assert told["updates"] > 0
    assert abs(told["updates"] - told["steps"] / 4) <= 4
