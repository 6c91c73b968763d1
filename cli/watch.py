"""rlrun watch: a trained agent plays, in a video, in the terminal or in a window."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from .errors import CommandError

if TYPE_CHECKING:
    from ..envs import Screen
    from .moments import Moment
    from .player import Player
    from .show import View

VIDEO_SECONDS = 120.0  # the longest video unless --max-seconds says otherwise


@click.command("watch")
@click.argument("run")
@click.option("--video", type=click.Path(path_type=Path), help="Write a video: a name that ends in .mp4 or .gif.")
@click.option("--terminal", is_flag=True, help="Play in this terminal, also over ssh.")
@click.option("--window", is_flag=True, help="Play in a window (needs pygame).")
@click.option("--episodes", type=click.IntRange(1), default=1, show_default=True, help="Whole episodes to play.")
@click.option("--seed", type=click.IntRange(0), help="Of the world and the random actions; evaluate's by default.")
@click.option("--epsilon", type=click.FloatRange(0, 1), help="Share of random actions; the preset's by default.")
@click.option("--max-seconds", type=click.FloatRange(0, min_open=True), help="Stop after so long; 120 for a video.")
@click.option("--speed", type=click.FloatRange(0.05, 100), default=1.0, show_default=True, help="1 is the game's own.")
@click.option("--checkpoint", type=click.Choice(["best", "latest"]), default="best", show_default=True)
@click.option("--protocol", help="Atari only: machado or nature; the one it was trained under by default.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
def command(
    run: str, directory: Path, video: Path | None, terminal: bool, window: bool, checkpoint: str, **options: Any
) -> int:
    """Watch a trained agent play, with what it expects of every action.

    RUN is a run's folder, its name, or `latest`. Without --video, --terminal or --window it plays in the terminal;
    where there is none, it writes a video into the run's folder.
    """
    if (video is not None) + terminal + window > 1:
        raise CommandError("--video, --terminal and --window exclude each other: choose one")
    if video is not None:  # before the slow part
        from .video import check_output, find_ffmpeg

        check_output(video)
        find_ffmpeg()
    from .player import load_player

    player = load_player(run, checkpoint=checkpoint, directory=directory)
    if window:
        return watch(player, "window", **options)
    if terminal or (video is None and sys.stdout.isatty()):
        return watch(player, "terminal", **options)
    return watch(player, video or default_path(player), **options)


def watch(
    player: Player,
    where: Path | str,
    *,
    episodes: int = 1,
    seed: int | None = None,
    epsilon: float | None = None,
    max_seconds: float | None = None,
    speed: float = 1.0,
    protocol: str | None = None,
) -> int:
    """Let `player` play and say how it went; return 0, or 130 or 143 if a signal ended it.

    Args:
        player: a loaded agent.
        where: "terminal", "window", or the path of a video.
        episodes: whole episodes.
        seed: of the world and the random actions; by default the one that `rlrun evaluate` begins with.
        epsilon: share of random actions; by default the config's.
        max_seconds: longest time to show; by default 120 for a video and endless otherwise.
        speed: 1 is the game's own.
        protocol: "machado" or "nature"; by default the one of the training.

    """
    from ..agents.window import windowed
    from ..envs import make_screen
    from .evaluate import SEED_OFFSET
    from .moments import play
    from .recorder import Recorder
    from .show import show
    from .stopper import Stopper
    from .tuning import on_one_thread

    seed = player.seed + SEED_OFFSET if seed is None else seed
    epsilon = player.config.evaluation_epsilon if epsilon is None else epsilon
    screen = make_screen(player.world, seed, protocol or player.protocol)
    screen.world = windowed(screen.world, player.config)  # type: ignore[type-var]  # its spaces are the World's
    try:
        # One state at a time: more threads only wait for each other, and for a training beside.
        with on_one_thread(True), Stopper() as stopper:

            def stopped() -> bool:
                return stopper.signal is not None

            moments = play(player, screen, episodes, epsilon, seed)
            first = next(moments)
            view = _open(where, player, screen, first, speed, stopped)
            limit = VIDEO_SECONDS if max_seconds is None and isinstance(view, Recorder) else max_seconds
            with view:
                report = show(
                    chain([first], moments), view, screen.fps * speed, screen.frames_per_step > 1, limit, stopped
                )
        if isinstance(view, Recorder):
            report.append(view.report())
        print("\n".join(report), flush=True)
        return stopper.exit_code
    finally:
        screen.close()


def default_path(player: Player) -> Path:
    """Return a name in the run's folder that no video has yet."""
    stem, copy = f"step-{player.step}", 1
    while True:
        path = player.folder / "videos" / (f"{stem}.mp4" if copy == 1 else f"{stem}-{copy}.mp4")
        if not path.exists():
            return path
        copy += 1


def _open(
    where: Path | str, player: Player, screen: Screen, first: Moment, speed: float, stopped: Callable[[], bool]
) -> View:
    from .recorder import Recorder
    from .stage import Stage
    from .terminal import Terminal
    from .window import Window

    title = re.sub("(?<=[a-z])(?=[A-Z])", " ", screen.name) if screen.protocol != "none" else screen.name
    if where == "terminal":
        return Terminal(title, player.action_names)
    subtitle = f"{player.folder.name}, step {player.step:,}"
    stage = Stage(title, player.action_names, first.frames[0].shape[:2], subtitle)
    if where == "window":
        return Window(stage, title, stopped)
    return Recorder(Path(where), stage, screen.fps * speed)
