"""The log of frames: observations drawn from the files that a checkpoint lists."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rlrun.agents import checkpoint as checkpoints
from rlrun.agents import frame_log
from rlrun.agents.checkpoint import Checkpoint, CheckpointError
from rlrun.agents.frame_log import FrameLog, replayed
from rlrun.agents.replay import Replay

WORLDS = 2


def filled(folder: Path, rows: int, saves: int, stack: int = 3, capacity: int = 60) -> tuple[Replay, Checkpoint]:
    """Return a replay and its checkpoint after `rows` rows and `saves` saves; a frame holds its row and its world."""
    shape = (stack, 1, 2) if stack > 1 else (2,)
    replay = Replay(capacity * WORLDS, WORLDS, shape, obs_dtype=torch.float32, stack=stack)
    log = FrameLog(folder / "frames")
    none = torch.zeros(WORLDS, dtype=torch.bool)
    obs = torch.zeros(WORLDS, *shape)
    for row in range(rows):
        frame = torch.tensor([[row + 1, world] for world in range(WORLDS)], dtype=torch.float32)
        obs = frame[:, None, None].expand(WORLDS, *shape) if stack > 1 else frame
        ended = torch.tensor([row % 7 == 6, row % 10 == 9])
        replay.add(obs, torch.zeros(WORLDS, dtype=torch.int64), torch.zeros(WORLDS), ended, none, none)
        if (row + 1) % (rows // saves) == 0:
            entries = log.append(replay)
    parts = {"replay": {**replay.state(), "obs": obs}}
    return replay, checkpoints.write(folder / "checkpoints" / "step_1", 1, parts, {}, entries)


def newest_frames(observations: Tensor) -> list[tuple[int, int]]:
    return [(int(obs.view(-1, 2)[-1, 0]) - 1, int(obs.view(-1, 2)[-1, 1])) for obs in observations]


@pytest.mark.parametrize("rows", [50, 130])  # the ring filled in part, and written over
@pytest.mark.parametrize("stack", [1, 3])
def test_observations_drawn_from_the_files_are_those_of_the_replay(rows: int, stack: int, tmp_path: Path) -> None:
    replay, checkpoint = filled(tmp_path, rows, 5, stack)
    found = replayed(checkpoint, stack, 40)
    assert found is not None
    assert found.shape == (40, *replay.obs_shape)
    places = newest_frames(found)
    assert len(set(places)) == 40
    assert places == sorted(places)
    assert max(row for row, _ in places) - min(row for row, _ in places) > 30  # from all of the files
    row, world = (torch.tensor(column) for column in zip(*places, strict=True))
    assert int(row.min()) >= rows - replay.rows
    assert torch.equal(found, replay._ring.observe(replay.ledger.age, row % replay.rows * replay.num_envs + world))
    assert replay.state()["live"][row % replay.rows, world].all()  # no final frame, where nothing was chosen


def test_a_draw_repeats_under_its_seed(tmp_path: Path) -> None:
    _, checkpoint = filled(tmp_path, 50, 5)
    first, again, other = (replayed(checkpoint, 3, 10, seed) for seed in (0, 0, 1))
    assert first is not None
    assert again is not None
    assert other is not None
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_large_replay_is_read_in_part_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, checkpoint = filled(tmp_path, 120, 20, capacity=120)
    opened: list[str] = []
    read = Checkpoint.shared

    def reading(self: Checkpoint, entry: Mapping[str, Any]) -> bytes:
        opened.append(entry["name"])
        data: bytes = read(self, entry)
        return data

    monkeypatch.setattr(Checkpoint, "shared", reading)
    assert len(checkpoint.manifest["shared"]) == 20
    found = replayed(checkpoint, 3, 60)
    assert found is not None
    assert len(opened) == len(set(opened)) == frame_log.SAMPLED_FILES
    assert len(found) < 60  # no more than these files hold
    few = replayed(checkpoint, 3, 16)
    assert few is not None
    assert len(few) == 16


def test_a_checkpoint_without_frames_has_nothing_to_draw_from(tmp_path: Path) -> None:
    best = checkpoints.write(tmp_path / "checkpoints" / "best", 1, {"weights": {"w": torch.zeros(1)}}, {}, [])
    assert replayed(best, 4, 10) is None


def test_a_damaged_file_of_frames_is_refused(tmp_path: Path) -> None:
    _, checkpoint = filled(tmp_path, 50, 1)
    path = tmp_path / checkpoint.manifest["shared"][0]["name"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="is cut"):
        replayed(checkpoint, 3, 10)
