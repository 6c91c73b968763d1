"""VideoWriter: pictures in, a video file out, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from .errors import ENVIRONMENT, RESOURCES, CommandError

VIDEO, GIF = ".mp4", ".gif"
GIF_FPS = 20  # players slow down GIFs that want more than 50

# Players take a video without these marks for another colour space, and reds turn orange.
_MARKS = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
_H264 = [
    "-vf", f"scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p,{_MARKS}",
    "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-movflags", "+faststart", "-f", "mp4",
]  # fmt: skip
_LOSSLESS = ["-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0", "-f", "matroska"]


def check_output(path: Path) -> None:
    """Raise CommandError unless a video can be written to `path`, whose folder is made if it is missing."""
    if path.suffix.lower() not in (VIDEO, GIF):
        raise CommandError(f"{path} cannot be written: a video's name ends in {VIDEO} or {GIF}")
    if path.is_dir():
        raise CommandError(f"{path} is a folder: name a file in it, as {path / ('video' + VIDEO)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {_reason(error)}", ENVIRONMENT) from None


def find_ffmpeg() -> str:
    """Return the program that encodes; raise CommandError if there is none."""
    import imageio_ffmpeg  # type: ignore[import-untyped]

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        raise CommandError(
            "no ffmpeg was found, so no video can be written: install imageio-ffmpeg from a wheel, or ffmpeg itself, "
            "or watch with --terminal",
            ENVIRONMENT,
        ) from None


class VideoWriter:
    """Writes pictures of one size to an H.264 `.mp4` or to a `.gif`; what stood there before is replaced at the end.

    The file grows under a hidden name beside its own and is renamed by `close`, so nobody sees half of it.

    Args:
        path: where to; the ending chooses the format.
        size: (width, height) of the pictures, both even.
        fps: pictures a second.

    Raises:
        CommandError: the name ends otherwise, the folder cannot be written, or there is no ffmpeg.

    """

    def __init__(self, path: str | Path, size: tuple[int, int], fps: float) -> None:
        """Start the encoder."""
        self.path = Path(path)
        self.count = 0  # pictures written
        self.fps = fps
        check_output(self.path)
        self._size = size
        self._ffmpeg = find_ffmpeg()
        self._draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.draft")
        self._gif = self.path.suffix.lower() == GIF
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:.6g}", "-i", "-"]
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by _clean)
        self._encoder = self._start([*raw, *(_LOSSLESS if self._gif else _H264), str(self._draft)])

    def __enter__(self) -> VideoWriter:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the video, after Ctrl-C with what was played so far; after an error drop it."""
        if kind is None or not issubclass(kind, Exception):
            self.close()
        else:
            self.discard()

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Append one picture, uint8 (height, width, 3) RGB."""
        width, height = self._size
        if picture.shape != (height, width, 3) or picture.dtype != np.uint8:
            raise ValueError(f"a picture is {picture.dtype} {picture.shape} instead of uint8 {(height, width, 3)}")
        assert self._encoder.stdin is not None
        try:
            self._encoder.stdin.write(np.ascontiguousarray(picture).data)
        except (BrokenPipeError, ValueError):  # the encoder has ended, and its log says why
            self._fail()
        self.count += 1

    def close(self) -> Path | None:
        """Finish the file and return its path, or None if no picture was ever written."""
        if self._log.closed:
            return self.path if self.count else None
        if not self.count:
            self.discard()
            return None
        try:
            self._finish(self._encoder)
            if self._gif:
                self._make_gif()
            os.replace(self._draft, self.path)
        except OSError as error:
            raise CommandError(f"{self.path} could not be written: {_reason(error)}", ENVIRONMENT) from None
        finally:
            self._clean()
        return self.path

    def discard(self) -> None:
        """Stop the encoder and leave no file behind; a second call does nothing."""
        if not self._log.closed:
            self._encoder.kill()
            self._clean()

    def _start(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        """Run ffmpeg; in a session of its own, so that Ctrl-C stops the game and not the encoder."""
        try:
            return subprocess.Popen(
                [self._ffmpeg, "-y", "-hide_banner", "-loglevel", "error", "-nostats", *arguments],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._log.close()
            raise CommandError(f"ffmpeg cannot be run from {self._ffmpeg}: {_reason(error)}", ENVIRONMENT) from None

    def _finish(self, process: subprocess.Popen[bytes]) -> None:
        """Close the process's input and wait until it has written everything."""
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if process.wait() != 0:
            self._fail()

    def _make_gif(self) -> None:
        """Turn the lossless draft into a GIF: choose one palette for the whole of it, then paint without dithering."""
        lossless, palette = self._draft.with_suffix(".mkv"), self._draft.with_suffix(".png")
        os.replace(self._draft, lossless)
        try:
            choose = "palettegen=max_colors=128:reserve_transparent=0:stats_mode=full"
            self._finish(self._start(["-i", str(lossless), "-vf", choose, "-f", "image2", str(palette)]))
            use = "paletteuse=dither=none:diff_mode=rectangle"
            inputs = ["-i", str(lossless), "-i", str(palette)]
            self._finish(self._start([*inputs, "-lavfi", use, "-f", "gif", str(self._draft)]))
        finally:
            lossless.unlink(missing_ok=True)
            palette.unlink(missing_ok=True)

    def _fail(self) -> None:
        """Raise CommandError with the last thing that ffmpeg said, leaving no file behind."""
        self._encoder.kill()
        self._encoder.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()
        self._clean()
        if any("No space left" in line for line in said):
            raise CommandError(f"{self.path} could not be written: the disk is full", RESOURCES)
        raise CommandError(f"{self.path} could not be written: ffmpeg {said[-1] if said else 'stopped'}", ENVIRONMENT)

    def _clean(self) -> None:
        """Let go of the encoder, its log and the draft, whatever state they are in."""
        if self._encoder.stdin is not None:
            with contextlib.suppress(OSError):
                self._encoder.stdin.close()
        self._encoder.wait()
        self._log.close()
        self._draft.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
