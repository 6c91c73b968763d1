"""Checkpoints: whole or not there, and refused by name when a byte is wrong."""

from pathlib import Path

import pytest
import torch

from rlrun.agents import checkpoint as checkpoints
from rlrun.agents.checkpoint import CheckpointError
from rlrun.agents.frame_log import FrameLog, restore_frames
from rlrun.agents.replay import Replay

PARTS = {"weights": {"w": torch.arange(6.0).view(2, 3), "b": torch.tensor([1.5])}}


def written(root: Path, step: int = 7) -> checkpoints.Checkpoint:
    return checkpoints.write(root / "checkpoints" / f"step_{step:012d}", step, PARTS, {"x": [1, 2]}, [])


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    folder = written(tmp_path).folder
    found = checkpoints.read(folder)
    found.verify()
    assert found.step == 7
    assert found.state() == {"x": [1, 2]}
    assert torch.equal(found.tensors("weights")["w"], PARTS["weights"]["w"])


@pytest.mark.parametrize("name", ["weights.safetensors", "state.json", "manifest.json"])
def test_a_flipped_bit_anywhere_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path).folder
    data = bytearray((folder / name).read_bytes())
    for position in range(0, len(data), max(1, len(data) // 25)):
        spoiled = bytearray(data)
        spoiled[position] ^= 4
        (folder / name).write_bytes(spoiled)
        with pytest.raises(CheckpointError, match=name):
            checkpoints.read(folder).verify()


def test_a_cut_file_is_refused_and_the_previous_checkpoint_is_used(tmp_path: Path) -> None:
    written(tmp_path, 7)
    newest = written(tmp_path, 8).folder / "weights.safetensors"
    newest.write_bytes(newest.read_bytes()[:-3])
    found, refused = checkpoints.newest(tmp_path / "checkpoints")
    assert found is not None
    assert found.step == 7
    assert len(refused) == 1
    assert str(newest) in refused[0]


def test_a_draft_left_by_a_killed_process_is_not_read_and_is_removed(tmp_path: Path) -> None:
    folder = written(tmp_path).folder
    draft = folder.with_name(".step_000000000009.1.draft")
    draft.mkdir()
    found, refused = checkpoints.newest(folder.parent)
    assert found is not None
    assert (found.step, refused) == (7, [])
    checkpoints.prune(folder.parent, 2)
    assert not draft.exists()


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, 7)

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "_write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        written(tmp_path, 8)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_000000000007"]


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        written(tmp_path, step)
    checkpoints.prune(tmp_path / "checkpoints", 2)
    assert [path.name[-1] for path in checkpoints.candidates(tmp_path / "checkpoints")] == ["4", "3"]


def replay() -> Replay:
    return Replay(40, 2, (4, 3, 3), stack=4, n_step=2, seed=3)


def fill(target: Replay, rows: int) -> None:
    none = torch.zeros(2, dtype=torch.bool)
    for _ in range(rows):
        obs = torch.full((2, 4, 3, 3), target.added % 251, dtype=torch.uint8)
        target.add(obs, torch.tensor([0, 1]), torch.full((2,), float(target.added)), none, none, none)


@pytest.mark.parametrize("rows", [(7, 5), (20, 3), (33, 30)])
def test_a_replay_comes_back_from_the_frame_log_with_equal_samples(tmp_path: Path, rows: tuple[int, int]) -> None:
    log, kept = FrameLog(tmp_path / "frames"), replay()
    for count in rows:
        fill(kept, count)
        shared = log.append(kept)
    folder = tmp_path / "checkpoints" / "step_000000000001"
    saved = checkpoints.write(folder, 1, {"replay": kept.state()}, {}, shared)
    again = replay()
    again.load(saved.tensors("replay"))
    restore_frames(saved, again)
    for _ in range(5):
        for mine, theirs in zip(kept.sample(8), again.sample(8), strict=True):
            assert torch.equal(mine, theirs)


def test_frames_are_written_once_and_dropped_when_no_checkpoint_needs_them(tmp_path: Path) -> None:
    log, kept = FrameLog(tmp_path / "frames"), replay()
    names = []
    for step in range(8):
        fill(kept, 10)
        shared = log.append(kept)
        folder = tmp_path / "checkpoints" / f"step_{step:012d}"
        checkpoints.write(folder, step, {"replay": kept.state()}, {}, shared)
        checkpoints.prune(tmp_path / "checkpoints", 2)
        names.append({path.name for path in (tmp_path / "frames").iterdir()})
    assert all(len(now) <= 3 for now in names)  # 20 rows for each of two checkpoints that share 10
    assert names[-1] & names[-2]
