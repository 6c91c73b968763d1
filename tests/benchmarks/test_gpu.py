"""The GPU benchmark: its path is rehearsed on a CPU, and a part that fails or hangs takes nothing but its own box."""

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture
def gpu(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("gpu")


def test_the_rehearsal_takes_the_path_to_the_table_with_the_targets(scripts: Path) -> None:
    command = [sys.executable, str(scripts / "gpu.py"), "--rehearse", "--json", "--parts", "waterworld", "fast"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["failures"] == {}
    targets = {row["unit"]: row["target"] for row in told["rows"] if row["target"]}
    assert targets == {"world-steps/s": 100e6, "agent steps/s": 33_000, "%": 80}
    assert all(row["value"] > 0 for row in told["rows"] if row["target"])
    assert {row["met"] for row in told["rows"]} == {"rehearsed", ""}  # a CPU meets no GPU's target


@pytest.mark.parametrize("part", ["classic", "impala", "updates"])
def test_the_other_parts_measure_something_too(gpu: ModuleType, part: str) -> None:
    rows = list(gpu.PARTS[part][0](gpu.TINY))
    assert rows
    assert all(row["value"] > 0 for row in rows)


def test_a_part_that_outlasts_its_box_is_ended_and_said(gpu: ModuleType) -> None:
    rows, failure = gpu.in_process("waterworld", Namespace(rehearse=True, each=10.0), 0.2)
    assert (rows, failure) == ([], "out of time after 0.2 s")


def test_what_a_part_measured_before_it_hung_counts(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = gpu.MARK + json.dumps({"what": "a", "value": 1.0, "unit": "ms", "target": None})
    hangs = tmp_path / "hangs.py"
    hangs.write_text(f"import time\nprint({line!r}, flush=True)\ntime.sleep(600)\n")
    monkeypatch.setattr(gpu, "__file__", str(hangs))
    rows, failure = gpu.in_process("waterworld", Namespace(rehearse=True, each=10.0), 5)
    assert rows == [{"what": "a", "value": 1.0, "unit": "ms", "target": None}]
    assert failure == "out of time after 5 s"


@pytest.mark.skipif(torch.cuda.is_available(), reason="the part would run")
def test_a_part_that_fails_says_why_in_one_line(gpu: ModuleType) -> None:
    rows, failure = gpu.in_process("waterworld", Namespace(rehearse=False, each=10.0), 60)
    assert rows == []
    assert "torch sees no GPU" in failure
    assert "\n" not in failure


def test_the_boxes_of_all_parts_fit_into_one_call_of_ten_minutes(gpu: ModuleType) -> None:
    assert sum(box for _, box in gpu.PARTS.values()) <= 560


def test_a_loop_that_does_other_work_than_it_should_is_refused(script: Callable[[str], ModuleType]) -> None:
    parts = script("gpu_parts")
    config = parts.settings_of("dqn", parts.TINY, {"num_envs": 4})
    with parts.Training(parts.train, config, parts.TINY, parts.breakout(parts.TINY, 4)) as training:
        training.per_update = 2.0  # what the loop does not do
        with pytest.raises(RuntimeError, match=r"updates in \d+ steps, not one for every 2"):
            training.speed(0.5)
