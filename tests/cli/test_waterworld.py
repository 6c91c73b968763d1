"""Waterworld by command: its preset by default, resumed bit for bit with its window, evaluated and watched."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rlrun
from rlrun.agents import checkpoint as checkpoints
from rlrun.agents.presets import preset
from rlrun.cli import evaluate as evaluations
from rlrun.cli.errors import USAGE, run
from rlrun.cli.main import cli
from rlrun.cli.options import usual
from rlrun.cli.player import load
from rlrun.cli.run import Run, Settings
from rlrun.cli.watch import watch
from rlrun.envs.catalogue import find
from rlrun.envs.waterworld.layout import LAYOUTS
from rlrun.envs.waterworld.spaces import observation_space

SMALL = {"learning_starts": 100, "checkpoint_steps": 200, "replay_capacity": 2_000, "num_envs": 4, "batch_size": 16}


def tensors(made: Run) -> dict[str, torch.Tensor]:
    found, refused = checkpoints.newest(made.checkpoints)
    assert found is not None
    assert refused == []
    return {
        f"{part}.{name}": value
        for part in ("weights", "target", "optimiser", "replay")
        for name, value in found.tensors(part).items()
    }


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit_and_can_be_watched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = rlrun.train("Waterworld", steps=400, directory=tmp_path / "whole", settings=SMALL, evaluate=0)
    assert (whole.settings.preset, whole.settings.env) == ("waterworld", "Waterworld")
    first = rlrun.train("waterworld", steps=240, directory=tmp_path / "parts", settings=SMALL, evaluate=0)
    again = rlrun.train(resume=first.folder, steps=400, directory=tmp_path / "parts", evaluate=0)
    expected, got = tensors(whole), tensors(again)
    assert expected.keys() == got.keys()
    assert [name for name in expected if not torch.equal(expected[name], got[name])] == []

    player = load(again)
    assert player.agent.obs_shape == (player.config.window, 32)
    assert player.config.window > 1
    envs = player.seeing(rlrun.make(player.world, 2, seed=1))
    obs, _ = envs.reset()
    assert np.isfinite(player.q_values(obs)).all()
    capsys.readouterr()
    assert watch(player, tmp_path / "watched.gif", max_seconds=0.3) == 0
    assert "episode 1, not over: score" in capsys.readouterr().out
    assert (tmp_path / "watched.gif").stat().st_size > 1_000


def test_a_window_over_pictures_is_refused_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(cli, ["train", "--env", "Pong", "--set", "window=2", "--steps", "100", "--dir", str(tmp_path)])
    message = capsys.readouterr().err
    assert code == USAGE
    assert "window = 2 is not possible: it must be 1" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(("env", "episodes"), [("Waterworld", 10), ("CartPole-v1", 100), ("Pong", 100)])
def test_an_evaluation_has_as_many_episodes_as_is_usual_for_its_world(
    env: str, episodes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def measured(run: Run, episodes: int) -> dict[str, Any]:
        asked.append(episodes)
        return {}

    monkeypatch.setattr(evaluations, "measure", measured)
    settings = Settings(env=env, protocol="none", seed=0, preset="control", device="cpu")
    run = Run.create(tmp_path, settings, preset("control"))
    evaluations.conclude(run, None, True)
    evaluations.conclude(run, 3, True)
    assert asked == [episodes, 3]


@pytest.mark.parametrize("variant", LAYOUTS)
def test_a_variants_usual_preset_tells_all_that_the_world_shows_apart(variant: str) -> None:
    found = find(LAYOUTS[variant].name)
    config = preset(usual(found).preset)
    assert config.window > 1
    space = observation_space(LAYOUTS[variant])
    if config.knots:  # beyond them numbers look alike
        assert config.knots[0] <= space.low.min()
        assert config.knots[-1] >= space.high.max()


def test_worlds_of_other_kinds_have_the_usual_preset_of_their_kind() -> None:
    assert [usual(find(name)).preset for name in ("Waterworld", "Pong", "CartPole-v1")] == [
        "waterworld", "fast", "control",
    ]  # fmt: skip
