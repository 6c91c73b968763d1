import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlrun.agents.config import Config
from rlrun.cli import plot as plots
from rlrun.cli.curves import read_curves, smooth
from rlrun.cli.errors import CommandError, run
from rlrun.cli.plot import plot
from rlrun.cli.run import Run, Settings


def episode(step: int, score: float, seconds: float = 1.0) -> dict[str, Any]:
    return {"kind": "episode", "step": step, "score": score, "length": 10, "seconds": seconds}


def progress(step: int, loss: float | None, seconds: float = 1.0) -> dict[str, Any]:
    return {"kind": "progress", "step": step, "seconds": seconds, "loss": loss, "q": 0.5, "updates": 3}


def rows(count: int = 200) -> list[dict[str, Any]]:
    made = []
    for index in range(count):
        made.append(episode(100 * index, index % 7 + index / 20, seconds=index / 3))
        made.append(progress(100 * index, None if index < 20 else 0.01 + 1 / (index + 1), seconds=index / 3))
    return made


def make_run(directory: Path, env: str = "ALE/Breakout-v5", seed: int = 0, **world: Any) -> Run:
    settings = Settings(env=env, protocol="nature", seed=seed, preset="fast", device="cpu")
    made = Run.create(directory, settings, Config())
    if world:
        made.note_world(world)
    return made


def write(made: Run, lines: list[dict[str, Any]]) -> Run:
    made.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return made


def size_of(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as picture:
        return picture.size


def test_metrics_become_arrays_and_missing_values_nan(tmp_path: Path) -> None:
    made = write(make_run(tmp_path), [progress(10, None), episode(20, 3.0, 2.5), progress(30, 0.5)])
    curves = read_curves(made.folder)
    assert curves.episodes["steps"].tolist() == [20]
    assert curves.episodes["seconds"].tolist() == [2.5]
    assert curves.episodes["score"].tolist() == [3]
    np.testing.assert_array_equal(curves.progress["loss"], [np.nan, 0.5])


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    made = write(make_run(tmp_path), [episode(20, 3.0), {"kind": "note"}, {"kind": "episode", "step": "x"}])
    with made.metrics.open("ab") as file:
        file.write(b'[1, 2]\n\xff\xfe\n{"kind": "episode", "step": 30, "sco')
    assert read_curves(made.folder).episodes["steps"].tolist() == [20]


def test_what_a_crash_undid_is_not_drawn(tmp_path: Path) -> None:
    before = [episode(10, 1.0), episode(20, 2.0), progress(25, 0.1), episode(30, 3.0)]
    after = [progress(16, 0.2), episode(21, 7.0)]  # resumed from a checkpoint at step 15
    curves = read_curves(write(make_run(tmp_path), before + after).folder)
    assert curves.episodes["steps"].tolist() == [10, 21]
    assert curves.episodes["score"].tolist() == [1, 7]
    assert curves.progress["loss"].tolist() == [0.2]


def test_evaluations_have_their_interval_and_their_time(tmp_path: Path) -> None:
    lines = [progress(0, 0.1, 0.0), progress(100, 0.1, 50.0)]
    lines += [{"kind": "evaluation", "step": 50, "mean": 3.0, "scores": [2, 4], "interval": [2.5, 3.5]}]
    lines += [{"kind": "evaluation", "step": 100, "mean": 4.0}, episode(101, 1.0, 51.0)]
    found = read_curves(write(make_run(tmp_path), lines).folder)
    assert {key: values.tolist() for key, values in found.evaluations.items()} == {
        "steps": [50, 100], "seconds": [25, 50], "mean": [3, 4], "low": [2.5, 4], "high": [3.5, 4],
    }  # fmt: skip
    assert len(found.progress["steps"]) == 2  # the best checkpoint's earlier step undoes nothing


def test_a_point_is_the_mean_of_the_latest_ten_values() -> None:
    x = np.arange(30.0)
    _, mean, low, high = smooth(x, x)
    assert mean[[0, 1, 9, 29]].tolist() == [0, 0.5, 4.5, 24.5]
    assert (low[29], high[29]) == pytest.approx((20.9, 28.1))
    x, mean, *_ = smooth(np.array([1.0, 2, 3]), np.array([np.nan, 4, np.nan]))
    assert (x.tolist(), mean.tolist()) == ([2], [4])
    assert len(smooth(np.empty(0), np.empty(0))[0]) == 0


def test_long_curves_are_thinned_but_keep_their_ends() -> None:
    x = np.arange(50_000.0)
    points, mean, *_ = smooth(x, np.ones(50_000))
    assert len(points) == 500
    assert (points[0], points[-1]) == (0, 49_999)
    assert np.all(mean == 1)


def test_runs_of_a_game_share_a_panel_and_games_stand_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [write(make_run(tmp_path, seed=seed, name="Breakout"), rows()) for seed in (0, 1)]
    pong = write(make_run(tmp_path, env="ALE/Pong-v5", name="Pong"), rows(3))
    one, two = tmp_path / "one.png", tmp_path / "new" / "two.png"
    assert run(plots.command, [*[str(r.folder) for r in made], "--out", str(one)]) == 0
    assert capsys.readouterr().out == f"{one}\n"
    assert plot([*made, pong.folder], two, "minutes") == two
    assert size_of(two)[0] == 2 * size_of(one)[0]
    assert [path.name for path in two.parent.iterdir()] == ["two.png"]


def test_the_picture_names_the_game_its_runs_and_the_human(tmp_path: Path) -> None:
    made = [write(make_run(tmp_path, seed=seed, name="Breakout"), rows(400)) for seed in (0, 1)]
    text = plot(made, tmp_path / "curves.svg").read_text()
    shown = set(re.findall(r">([^<>]+)</text>", text))
    assert {"Breakout", "fast, seed 0", "fast, seed 1", "human 30.5", "random 1.7", "agent steps"} <= shown


def test_a_human_far_above_is_told_but_does_not_flatten_the_curve(tmp_path: Path) -> None:
    made = write(make_run(tmp_path, name="Breakout"), [episode(step, step % 2) for step in range(50)])
    text = plot([made], tmp_path / "curves.svg").read_text()
    assert "human 30.5, far above" in text


def test_runs_that_share_preset_and_seed_are_told_apart(tmp_path: Path) -> None:
    made = [write(make_run(tmp_path / name, name="Breakout"), rows(20)) for name in ("a", "b")]
    labels = plots._labels(made)
    assert len(set(labels)) == 2
    assert all(r.folder.name in label for r, label in zip(made, labels, strict=True))


@pytest.mark.parametrize(
    "lines", [[progress(10, None)], [episode(10, 1.0)], [episode(1, 0.0), progress(1, float("inf"))]]
)
def test_a_run_that_has_only_begun_can_be_drawn(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    assert size_of(plot([write(make_run(tmp_path), lines)], tmp_path / "curves.png"))


def test_what_cannot_be_drawn_is_one_sentence(tmp_path: Path) -> None:
    empty, full = make_run(tmp_path), write(make_run(tmp_path, seed=1), rows(20))
    with pytest.raises(CommandError, match="has nothing to draw yet"):
        plot([empty], tmp_path / "curves.png")
    with pytest.raises(CommandError, match=r"ends in \.png, \.svg or \.pdf"):
        plot([full], tmp_path / "curves.bmp")
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match=r"curves\.png cannot be written"):
        plot([full], tmp_path / "file" / "curves.png")
    with pytest.raises(CommandError, match="no run 'missing'"):
        plot(["missing"], tmp_path / "curves.png")
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [""]
