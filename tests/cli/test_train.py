"""rlrun train: a run that is resumed, stopped, killed or spoiled loses nothing, and wrong input is answered plainly."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import rlrun
from rlrun.agents import checkpoint as checkpoints
from rlrun.cli import running_score
from rlrun.cli import session as sessions
from rlrun.cli.errors import DIVERGED, ENVIRONMENT, RESOURCES, USAGE, CommandError, run
from rlrun.cli.main import cli
from rlrun.cli.run import Run, read_metrics
from rlrun.cli.running_score import keeps_up
from rlrun.cli.session import Session

SMALL = {"learning_starts": 200, "checkpoint_steps": 500, "replay_capacity": 2_000, "num_envs": 4}
COMMAND = [sys.executable, "-m", "rlrun"]


def train(folder: Path, **options: Any) -> Run:
    settings = {**SMALL, **options.pop("settings", {})}
    return rlrun.train("CartPole-v1", directory=folder, evaluate=0, settings=settings, **options)


def final_tensors(made: Run) -> dict[str, torch.Tensor]:
    found, refused = checkpoints.newest(made.checkpoints)
    assert found is not None
    assert refused == []
    parts = ("weights", "target", "optimiser", "replay")
    return {f"{part}.{name}": value for part in parts for name, value in found.tensors(part).items()}


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = run(cli, arguments)
    message = capsys.readouterr().err
    assert "Traceback" not in message
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    return code, message


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path: Path, precision: str) -> None:
    settings = {"precision": precision}
    whole = train(tmp_path / "whole", steps=1_500, settings=settings)
    first = train(tmp_path / "parts", steps=1_000, settings=settings)
    again = rlrun.train(resume=first.folder, steps=1_500, directory=tmp_path / "parts", evaluate=0)
    expected, got = final_tensors(whole), final_tensors(again)
    assert expected.keys() == got.keys()
    assert [name for name in expected if not torch.equal(expected[name], got[name])] == []


def test_the_same_seed_twice_gives_identical_weights_and_another_seed_does_not(tmp_path: Path) -> None:
    runs = [train(tmp_path / str(i), steps=600, seed=seed) for i, seed in enumerate((1, 1, 2))]
    weights = [final_tensors(made)["weights.body.layers.0.weight"] for made in runs]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("halves", [False, True], ids=["whole", "in halves"])
def test_a_resumed_atari_run_keeps_all_but_the_running_episodes(
    tmp_path: Path, halves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**SMALL, "width": 0.25, "hidden": "16"}
    if halves:  # as on a GPU
        make = sessions.make
        monkeypatch.setattr(sessions, "make", lambda *names, **kw: make(*names, **{**kw, "device": "cuda"}))
    made = rlrun.train("Pong", steps=800, directory=tmp_path, evaluate=0, settings=settings)
    before = Session(Run.open(made.folder))
    assert hasattr(before.envs, "halves") == halves
    assert before.progress.step == 800
    assert len(before.replay) == 804  # a last row for the ends of the four running episodes
    row = (before.replay.added - 1) % before.replay.rows
    assert not before.replay.ledger.live[row].any()
    assert before.replay.ledger.cut[row - 1].all()
    assert not before.replay.ledger.terminal[row - 1].any()
    before.close()
    again = rlrun.train(resume=made.folder, steps=900, evaluate=0)
    assert read_metrics(again.metrics)[-1]["step"] == 900


def test_a_loaded_agent_expects_and_acts_as_the_trained_one(tmp_path: Path) -> None:
    made = train(tmp_path, steps=600)
    player = rlrun.load(made)
    obs = torch.randn(5, 4).numpy()
    q = player.q_values(obs)
    assert q.shape == (5, 2)
    assert (player.act(obs, epsilon=0.0) == q.argmax(1)).all()
    assert player.q_values(obs[2]).shape == (2,)
    moved = tmp_path / "elsewhere"
    made.folder.rename(moved)
    assert (rlrun.load(moved).q_values(obs) == q).all()


def test_a_spoiled_newest_checkpoint_is_named_and_the_previous_one_used(tmp_path: Path) -> None:
    made = train(tmp_path, steps=1_000)
    newest, previous = list(checkpoints.candidates(made.checkpoints))
    weights = newest / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    session = Session(Run.open(made.folder))
    session.close()
    assert str(weights) in session.notes[0]
    assert session.progress.step == checkpoints.read(previous).step


def test_a_loss_that_is_no_number_stops_the_run_before_good_weights_are_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = train(tmp_path, steps=600)
    before = final_tensors(made)
    real = sessions.train_as_they_step

    def poisoned(agent: Any, *rest: Any) -> Any:
        for progress in real(agent, *rest):
            with torch.no_grad():
                next(iter(agent.online.parameters())).fill_(float("nan"))
            yield progress

    monkeypatch.setattr(sessions, "train_as_they_step", poisoned)
    with pytest.raises(CommandError, match="diverged") as error:
        rlrun.train(resume=made.folder, steps=1_200, evaluate=0)
    assert error.value.exit_code == DIVERGED
    after = final_tensors(made)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_full_disk_keeps_the_last_good_checkpoint_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = train(tmp_path, steps=600)

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "_write_bytes", full)
    with pytest.raises(
        CommandError, match=r"no space left on device; the last good one stays: step_0+60[0-3]"
    ) as error:
        rlrun.train(resume=made.folder, steps=900, evaluate=0)
    assert error.value.exit_code == RESOURCES
    assert final_tensors(made)


def test_a_second_process_on_the_same_run_refuses(tmp_path: Path) -> None:
    made = train(tmp_path, steps=300)
    with made.locked(), pytest.raises(CommandError, match=f"another process .pid {os.getpid()}"):
        rlrun.train(resume=made.folder, steps=600, evaluate=0)


def started(folder: Path, *more: str) -> subprocess.Popen[str]:
    """Return a long CartPole run in a process of its own, once it has written a checkpoint."""
    sets = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    process = subprocess.Popen(
        [*COMMAND, "train", "--env", "CartPole-v1", "--steps", "5M", "--dir", str(folder), *sets, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(folder.glob("*/checkpoints/step_*/manifest.json")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_polite_stop_saves_and_exits_with_the_signals_code(tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = started(tmp_path)
    process.send_signal(number)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == code, output
    assert "saved; go on with: rlrun train --resume" in output
    assert "Traceback" not in output


def test_kill_9_leaves_a_loadable_run(tmp_path: Path) -> None:
    process = started(tmp_path)
    time.sleep(0.3)
    process.kill()
    process.communicate()
    made = Run.find("latest", tmp_path)
    session = Session(made)
    session.close()
    assert session.progress.step >= 500
    assert rlrun.load(made).q_values(torch.zeros(1, 4).numpy()).shape == (1, 2)


STARTING = """
import sys
from rlrun.cli import live
from rlrun.cli.errors import run
from rlrun.cli.main import cli

def say(self, line):
    print("torch" in sys.modules, "torch._dynamo" in sys.modules, line)

live.PlainView.say = say
sys.exit(run(cli, sys.argv[1:]))
"""


def test_training_says_what_it_does_before_torch_is_loaded_and_never_loads_its_compiler(tmp_path: Path) -> None:
    sets = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    arguments = ["train", "--env", "CartPole-v1", "--device", "cpu", "--steps", "400", "--evaluate", "0", *sets]
    command = [sys.executable, "-c", STARTING, *arguments, "--dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = [line.split(" ", 2) for line in done.stdout.splitlines() if " " in line and line[:4] in ("True", "Fals")]
    assert told[0][:2] == ["False", "False"]
    assert told[0][2].startswith("training CartPole-v1, preset control, seed 0, on cpu, in ")
    assert told[-1][:2] == ["True", "False"]
    assert told[-1][2].startswith("trained 40")


def test_a_newer_agent_counts_as_best_unless_its_scores_are_lower_by_more_than_chance() -> None:
    scores = [400.0, 500.0] * 50  # 450, with a standard error of 5.03
    assert keeps_up(scores, None)
    assert keeps_up(scores, 455.0)
    assert not keeps_up(scores, 455.1)
    assert keeps_up([500.0] * 20, 500.0)
    assert not keeps_up([499.0] * 20, 500.0)


def test_the_best_weights_follow_the_highest_score_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []

    def never(scores: Any, best: float | None) -> bool:
        asked.append(best)
        return best is None

    monkeypatch.setattr(running_score, "keeps_up", never)
    run = train(tmp_path, steps=3_000)
    assert len(asked) > 3
    known = [best for best in asked if best is not None]
    assert known == sorted(known)
    assert checkpoints.read(run.checkpoints / sessions.BEST).step < 3_000
    newest, _ = checkpoints.newest(run.checkpoints)
    assert newest is not None
    state = newest.state()
    assert state["best_score"] == max(known[-1], sum(state["recent"]) / len(state["recent"]))  # its own score counts
    monkeypatch.setattr(running_score, "keeps_up", lambda scores, best: True)
    again = rlrun.train(resume=run.folder, steps=3_600, evaluate=0)
    assert checkpoints.read(again.checkpoints / sessions.BEST).step >= 3_600


def test_what_is_compiled_for_the_first_step_does_not_count_as_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sessions.train_as_they_step

    def slow_at_first(*arguments: Any) -> Any:
        time.sleep(1.5)
        yield from real(*arguments)

    monkeypatch.setattr(sessions, "train_as_they_step", slow_at_first)
    run = train(tmp_path, steps=2_000, settings={"learning_starts": 1_990})
    reports = [row for row in read_metrics(run.metrics) if row["kind"] == "progress"]
    assert reports[0]["step"] > 4
    assert reports[0]["seconds"] > 1.5
    assert min(row["steps_per_second"] for row in reports) > 100  # 4 steps in 1.5 s are 3


def test_json_lines_end_with_the_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--env", "CartPole-v1", "--steps", "400", "--dir", str(tmp_path), "--json", "--evaluate", "3"]
    assert run(cli, arguments) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[-1]["kind"] == "evaluation"
    assert len(rows[-1]["scores"]) == 3
    assert any(row["kind"] == "progress" for row in rows)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train", "--env", "Brekout"], ENVIRONMENT, "Breakout"),
        (["train"], USAGE, "--env Breakout"),
        (["train", "--env", "CartPole-v1", "--preset", "rainbw"], USAGE, "rainbow"),
        (["train", "--env", "CartPole-v1", "--set", "learning_rat=1"], USAGE, "learning_rate"),
        (["train", "--env", "CartPole-v1", "--set", "learning_rate=fast"], USAGE, "a number"),
        (["train", "--env", "CartPole-v1", "--set", "double"], USAGE, "KEY=VALUE"),
        (["train", "--env", "CartPole-v1", "--steps", "-5"], USAGE, "positive whole number"),
        (["train", "--env", "CartPole-v1", "--minutes", "-1"], USAGE, "above 0"),
        (["train", "--env", "CartPole-v1", "--steps", "5", "--frames", "5"], USAGE, "same budget"),
        (["train", "--env", "Pong", "--protocol", "machdo"], ENVIRONMENT, "machado"),
        (["train", "--env", "Pong", "--device", "cude"], USAGE, "cpu or cuda"),
        (["train", "--env", "Pong", "--config", "nothing.toml"], USAGE, "nothing.toml"),
        (["train", "--env", "Pong", "--set", "replay_capacity=1e11"], RESOURCES, "--shrink-replay"),
        (["train", "--resume", "nowhere"], ENVIRONMENT, "nowhere"),
        (["train", "--resume", "latest"], ENVIRONMENT, "rlrun train"),
        (["evaluate", "latest"], ENVIRONMENT, "rlrun train"),
        (["trian"], USAGE, "train"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_wrong_input_is_answered_in_one_sentence_and_leaves_nothing_behind(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    got, message = refused(arguments, capsys)
    assert (got, said in message) == (code, True), message
    assert list(tmp_path.glob("runs/*")) == []


def test_without_tensorboard_its_option_says_what_to_install_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    code, message = refused(["train", "--env", "CartPole-v1", "--tensorboard", "--dir", str(tmp_path)], capsys)
    assert code == ENVIRONMENT
    assert "pip install 'rlrun[tensorboard]'" in message
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    code, message = refused(["train", "--env", "CartPole-v1", "--dir", str(taken)], capsys)
    assert code == ENVIRONMENT
    assert str(taken) in message
