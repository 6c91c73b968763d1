import sys
from pathlib import Path
from typing import Any

import imageio_ffmpeg  # type: ignore[import-untyped]
import numpy as np
import pytest
from numpy.typing import NDArray

from rlrun.cli import video
from rlrun.cli.errors import ENVIRONMENT, USAGE, CommandError
from rlrun.cli.video import VideoWriter, check_output

SIZE = (96, 64)
COLORS = [(200, 72, 72), (198, 108, 58), (66, 72, 200), (0, 28, 136), (255, 255, 255), (0, 0, 0)]


def pictures(count: int) -> list[NDArray[np.uint8]]:
    """Return pictures with six patches of Atari's colours, that wander from one picture to the next."""
    made = []
    for index in range(count):
        picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        for place, color in enumerate(np.roll(COLORS, index // 10, axis=0)):
            picture[:, 16 * place : 16 * place + 16] = color
        made.append(picture)
    return made


def decoded(path: Path) -> tuple[dict[str, Any], list[NDArray[np.uint8]]]:
    reader = imageio_ffmpeg.read_frames(str(path))
    told = next(reader)
    shape = (told["size"][1], told["size"][0], 3)
    return told, [np.frombuffer(picture, np.uint8).reshape(shape) for picture in reader]


def written(path: Path, count: int = 25, fps: float = 25) -> Path:
    with VideoWriter(path, SIZE, fps) as writer:
        write_all(writer, pictures(count))
    return path


def write_all(writer: VideoWriter, shown: list[NDArray[np.uint8]]) -> None:
    for picture in shown:
        writer.write(picture)


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_what_is_written_comes_back(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"game.{ending}")
    told, frames = decoded(path)
    assert told["size"] == SIZE
    assert told["fps"] == pytest.approx(25)
    assert len(frames) == 25
    for before, after in zip(pictures(25), frames, strict=True):  # in the middle of a patch: chroma is coarser
        difference = np.abs(before[4:-4, 8::16].astype(int) - after[4:-4, 8::16])
        assert difference.max() <= 8
    assert left_over(tmp_path) == [f"game.{ending}"]


def test_the_video_is_h264_that_every_player_takes(tmp_path: Path) -> None:
    told, _ = decoded(written(tmp_path / "game.mp4"))
    assert told["codec"] == "h264"
    assert told["pix_fmt"].startswith("yuv420p(tv, bt709")
    assert "unknown" not in told["pix_fmt"]
    data = (tmp_path / "game.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # playable before it is loaded whole


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "game.mp4"
    path.write_bytes(b"old")
    writer = VideoWriter(path, SIZE, 30)
    writer.write(pictures(1)[0])
    assert path.read_bytes() == b"old"
    assert writer.close() == path
    assert writer.close() == path
    assert len(decoded(path)[1]) == 1


def test_ctrl_c_keeps_what_was_played_so_far(tmp_path: Path) -> None:
    def interrupted() -> None:
        with VideoWriter(tmp_path / "game.mp4", SIZE, 30) as writer:
            write_all(writer, pictures(7))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(decoded(tmp_path / "game.mp4")[1]) == 7
    assert left_over(tmp_path) == ["game.mp4"]


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"), VideoWriter(tmp_path / "game.mp4", SIZE, 30) as writer:
        write_all(writer, [*pictures(1), np.zeros((2, 2, 3), np.uint8)])
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_without_pictures_there_is_no_file(tmp_path: Path, ending: str) -> None:
    assert VideoWriter(tmp_path / f"game.{ending}", SIZE, 30).close() is None
    assert left_over(tmp_path) == []


def test_an_encoder_that_dies_is_named_and_leaves_nothing_behind(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "game.mp4", SIZE, 30)
    writer._encoder.kill()
    writer._encoder.wait()
    with pytest.raises(CommandError, match=r"game\.mp4 could not be written: ffmpeg stopped"):
        write_all(writer, pictures(50))
    writer.discard()
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("name", ["game.avi", "game", "mp4"])
def test_an_unknown_ending_names_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match=r"ends in \.mp4 or \.gif") as told:
        check_output(tmp_path / name)
    assert told.value.exit_code == USAGE


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    check_output(tmp_path / "a" / "b" / "game.mp4")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match=r"game\.mp4 cannot be written: ") as told:
        check_output(tmp_path / "file" / "game.mp4")
    assert told.value.exit_code == ENVIRONMENT

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(video.tempfile, "TemporaryFile", refuse)  # tests may run as root, who may write anywhere
    with pytest.raises(CommandError, match=r"game\.mp4 cannot be written: permission denied"):
        check_output(tmp_path / "game.mp4")
    monkeypatch.undo()
    (tmp_path / "taken.mp4").mkdir()
    with pytest.raises(CommandError, match="is a folder"):
        check_output(tmp_path / "taken.mp4")


def test_a_missing_ffmpeg_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise RuntimeError("No ffmpeg exe could be found.\nInstall ffmpeg on your system")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    with pytest.raises(CommandError, match="no ffmpeg was found") as told:
        VideoWriter(tmp_path / "game.mp4", SIZE, 30)
    assert told.value.exit_code == ENVIRONMENT
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(tmp_path / "nothing"))
    with pytest.raises(CommandError, match="ffmpeg cannot be run from"):
        VideoWriter(tmp_path / "game.mp4", SIZE, 30)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: sys.executable)  # something that is no ffmpeg
    with (
        pytest.raises(CommandError, match="could not be written"),
        VideoWriter(tmp_path / "game.mp4", SIZE, 30) as writer,
    ):
        write_all(writer, pictures(50))
    assert left_over(tmp_path) == []
