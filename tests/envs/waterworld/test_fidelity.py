"""Fidelity: the core repeats what was recorded of the original, and of a plain world that shares no code with it."""

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType

import pytest
import torch

from rlrun.envs.waterworld.core import Core
from rlrun.envs.waterworld.layout import RADIUS
from rlrun.envs.waterworld.variants import core_of

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "benchmarks" / "waterworld_fidelity.py"
OWN = Path(__file__).with_name("recording.json")
DATA = Path(os.environ.get("RLRUN_DATA", ROOT.parent / "shared" / "data")) / "waterworld"


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def replay(*arguments: object) -> int:
    """Run the command in this process; return its exit code."""
    code: int = loaded(SCRIPT).main([str(argument) for argument in arguments])
    return code


def test_our_own_recording_is_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay("--trajectories", OWN, "--eyes", OWN) == 0
    assert capsys.readouterr().out.count("; ok") == 4


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings of the original at {DATA} (set RLRUN_DATA)")
def test_the_original_is_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay("--trajectories", DATA / "reference_trajectories.json", "--eyes", DATA / "eye_vectors.json") == 0
    assert capsys.readouterr().out.count("; ok") == 6


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("eye_type", [5] * 9, "eye type 9"),
        ("collided", 5, "collided 0"),
        ("eye_dist", [1.0] * 9, "eye distance"),
        ("x", 50.000001, "pose 1.00e-06"),
        ("reward", 7.0, "reward"),
        ("eaten", [3], "eaten 1"),
        ("n_items", 7, "items 1"),
        ("spawned", [100.0, 100.0, 1], "spawning 1"),
        ("aged_out", [2], "ageing 2"),
    ],
)
def test_what_differs_from_a_recording_is_told_and_fails(
    column: str, value: object, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [[600.0, 450.0, 1, 0]] * 29 + [[640.0, 30.0, 2, 0]]
    begin = {"x": 50.0, "y": 50.0, "angle": 0.0, "clock": 0, "items": items}
    record = loaded(Path(__file__).with_name("record.py"))
    row = record.Plain(**{**begin, "items": [list(item) for item in items]}).lived(3, record.random.Random(0))
    if column == "collided":
        value = 1 - row["collided"]
        told = "collided 1"
    if column == "x":
        value = row["x"] + 1e-6
    episode = {"name": "one step", "init": begin, **{key: [cell] for key, cell in {**row, column: value}.items()}}
    (tmp_path / "run.json").write_text(json.dumps({"episodes": [episode]}))
    assert replay("--trajectories", tmp_path / "run.json") == 1
    shown = capsys.readouterr().out
    assert told in shown
    assert "DIFFERS" in shown


def test_a_file_that_is_no_recording_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text('{"episodes": [{"name": "empty"}]}')
    assert replay("--trajectories", tmp_path / "run.json") == 3
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert shown.count("\n") == 1


def plainly(core: Core) -> tuple[list[list[float]], list[list[int]]]:
    """Return the distances and kinds that eyes see, every eye asked about every item and wall."""
    state, layout = core.state, core.layout
    distances, kinds = [], []
    for row in range(len(state.x)):
        x, y = float(state.x[row]), float(state.y[row])
        distances.append([layout.reach] * layout.eyes)
        kinds.append([-1] * layout.eyes)
        for eye, offset in enumerate(layout.eye_angles):
            facing = torch.tensor(float(state.angle[row]) + offset, dtype=torch.float64)
            sine, cosine = float(facing.sin()), float(facing.cos())
            nearest = 1.0
            for x1, y1, x2, y2 in layout.walls:
                spread = (y2 - y1) * layout.reach * sine - (x2 - x1) * layout.reach * cosine
                if spread:
                    u = ((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)) / spread
                    v = (layout.reach * sine * (y - y1) - layout.reach * cosine * (x - x1)) / spread
                    if 0 < u < nearest and 0 < v < 1:
                        nearest, distances[-1][eye], kinds[-1][eye] = u, u * layout.reach, 0
            for slot in range(layout.items):
                dx, dy = float(state.item_x[row, slot]) - x, float(state.item_y[row, slot]) - y
                s, t = dx * cosine - dy * sine, dx * sine + dy * cosine
                if state.item_kind[row, slot] and abs(s) <= RADIUS:
                    e = s + abs(s)
                    steep = abs(sine) > abs(cosine)
                    u = ((t * sine + e * cosine) / sine if steep else (t * cosine - e * sine) / cosine) / layout.reach
                    if 0 < u < nearest:
                        nearest, distances[-1][eye] = u, float(torch.tensor(t).hypot(torch.tensor(e)))
                        kinds[-1][eye] = int(state.item_kind[row, slot])
    return distances, kinds


@pytest.mark.parametrize("variant", ["rldemo", "reinforcejs"])
def test_both_variants_see_what_asking_every_eye_about_everything_finds(variant: str) -> None:
    core = core_of(variant, torch.arange(40), dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int, most: float) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64) * most

    core.state.x, core.state.y = drawn(40, most=700), drawn(40, most=500)
    if variant == "rldemo":
        core.state.angle = drawn(40, most=6.28)
    core.state.item_x = core.state.x[:, None] + drawn(40, core.layout.items, most=300) - 150
    core.state.item_y = core.state.y[:, None] + drawn(40, core.layout.items, most=300) - 150
    core.state.item_x[:, :3] = core.state.x[:, None] + drawn(40, 3, most=44) - 22  # close by, on every side
    core.state.item_y[:, :3] = core.state.y[:, None] + drawn(40, 3, most=44) - 22
    core.state.item_kind[:, 5] = 0
    distances, kinds = plainly(core)
    sight = core.looked()
    assert sight.kind.tolist() == kinds
    torch.testing.assert_close(sight.distance, torch.tensor(distances, dtype=torch.float64), atol=1e-5, rtol=0)
