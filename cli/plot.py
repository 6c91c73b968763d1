"""rlrun plot: learning curves of one or several runs, drawn to a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from .errors import ENVIRONMENT, CommandError
from .run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .curves import Curves

ENDINGS = (".png", ".svg", ".pdf")
COLORS = ("#2563c9", "#e0663c", "#2c9c69", "#8a55c7", "#c9a01f", "#d14a7d", "#3aa7c4", "#6b7280")
INK, FAINT, GRID = "#1f2733", "#6d7787", "#e7eaef"
STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": 10, "text.color": INK, "axes.labelcolor": FAINT,
    "axes.edgecolor": "#c3c9d2", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.9, "xtick.color": FAINT, "ytick.color": FAINT,
    "xtick.labelcolor": FAINT, "ytick.labelcolor": FAINT, "xtick.major.size": 0, "ytick.major.size": 0,
    "lines.solid_capstyle": "round", "svg.fonttype": "none",
}  # fmt: skip
FAR = 6.0  # a human score this many times higher than all others is named, but would flatten the curves


@click.command("plot")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--out", type=click.Path(path_type=Path), default=Path("learning.png"), show_default=True)
@click.option("--x", "across", type=click.Choice(["steps", "minutes"]), default="steps", show_default=True)
@click.option("--dir", "directory", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
def command(runs: Sequence[str], out: Path, across: str, directory: Path) -> None:
    """Draw learning curves.

    RUN is a run's folder, its name, or `latest`; runs of the same game share a panel.
    """
    print(plot([Run.find(run, directory) for run in runs], out, across))


def plot(runs: Sequence[Run | str | Path], out: str | Path = "learning.png", across: str = "steps") -> Path:
    """Draw the learning curves of `runs` over "steps" or "minutes" and return the path of the picture.

    Raises:
        CommandError: a run that is missing or has nothing to draw yet, or a picture that cannot be written.

    """
    out = Path(out)
    if out.suffix.lower() not in ENDINGS:
        raise CommandError(
            f"{out} cannot be drawn: a picture's name ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        )
    found = [run if isinstance(run, Run) else Run.find(run) for run in runs]

    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from .curves import read_curves

    games: dict[str, dict[str, Curves]] = {}
    for run, label in zip(found, _labels(found), strict=True):
        curves = read_curves(run.folder)
        if not curves:
            raise CommandError(f"{run.folder} has nothing to draw yet: its metrics.jsonl is empty", ENVIRONMENT)
        games.setdefault(_game(run), {})[label] = curves
    with rc_context(STYLE):
        figure = Figure(figsize=(7.6 * len(games), 6.6), dpi=150, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        grid = figure.subplots(3, len(games), sharex="col", height_ratios=(5, 1.25, 1.25), squeeze=False)
        for column, (game, curves_by_label) in enumerate(games.items()):
            _draw_game(grid[:, column], game, curves_by_label, across)
        figure.align_ylabels()
        _save(figure, out)
    return out


def _draw_game(axes: Any, game: str, runs: dict[str, Curves], across: str) -> None:
    from .curves import smooth

    score, loss, q = axes
    for index, (label, curves) in enumerate(runs.items()):
        color = COLORS[index % len(COLORS)]
        x, mean, low, high = smooth(_x(curves.episodes, across), curves.episodes["score"])
        score.fill_between(x, low, high, color=color, alpha=0.16, linewidth=0)
        score.plot(x, mean, color=color, linewidth=2.2, label=label)
        ends = curves.evaluations
        if len(ends["mean"]):
            bars = abs(_stacked(ends) - ends["mean"])
            score.errorbar(
                _x(ends, across), ends["mean"], bars, fmt="D", color=color, markersize=6, markeredgecolor="white",
                capsize=3, zorder=5,
            )  # fmt: skip
        for panel, key in ((loss, "loss"), (q, "q")):
            x, mean, *_ = smooth(_x(curves.progress, across), curves.progress[key])
            panel.plot(x, mean, color=color, linewidth=1.4)
    score.set_title(game, loc="left", fontsize=17, fontweight="bold", pad=22)
    score.text(
        0, 1.025, "score of an episode: moving mean, and where 80% of the episodes lie", transform=score.transAxes,
        fontsize=9.5, color=FAINT,
    )  # fmt: skip
    score.set_ylabel("score")
    loss.set_ylabel("loss")
    q.set_ylabel("mean max Q")
    loss.set_yscale("log" if _positive(loss) else "linear")
    q.set_xlabel("agent steps" if across == "steps" else "minutes of training")
    for panel in axes:
        panel.margins(x=0.01)
        panel.set_xlim(left=0)
        panel.yaxis.set_major_formatter(_short)
    q.xaxis.set_major_formatter(_short)
    _draw_references(score, game)
    if len(runs) > 1 or any(len(curves.evaluations["mean"]) for curves in runs.values()):
        handles, labels = score.get_legend_handles_labels()
        if any(len(curves.evaluations["mean"]) for curves in runs.values()):
            handles.append(_diamond())
            labels.append("evaluation, 95% interval")
        score.legend(handles, labels, loc="upper left", frameon=True, framealpha=0.85, edgecolor="none", fontsize=9.5)


def _draw_references(axes: Axes, game: str) -> None:
    """Draw what humans reach, dashed, where it does not flatten the curves, and what random play does, dotted."""
    from ..envs import reference_scores

    known = reference_scores(game)
    low, high = axes.get_ylim()
    for who, dashes in (("random", (0, (1, 2.5))), ("human", (0, (5, 3)))):
        if who not in known:
            continue
        value = known[who]
        place = axes.get_yaxis_transform()
        if value - low > FAR * (high - low) and who == "human":
            axes.text(
                0.995, 0.985, f"human {value:,g}, far above", transform=axes.transAxes, ha="right", va="top",
                color=FAINT, fontsize=9,
            )  # fmt: skip
            continue
        axes.axhline(value, color="#9aa3b0", linewidth=1.3, linestyle=dashes, zorder=1)
        axes.text(
            0.995, value, f"{who} {value:,g}", transform=place, ha="right", va="bottom", color=FAINT, fontsize=9
        )  # fmt: skip


def _x(columns: dict[str, Any], across: str) -> Any:
    return columns["steps"] if across == "steps" else columns["seconds"] / 60


def _stacked(ends: dict[str, Any]) -> Any:
    import numpy as np

    return np.stack([ends["low"], ends["high"]])


def _positive(axes: Axes) -> bool:
    """Return whether the panel's curves can stand on a logarithmic scale and are worth it."""
    import numpy as np

    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines] or [np.empty(0)])
    values = values[np.isfinite(values)]
    return bool(len(values) and values.min() > 0 and values.max() / values.min() > 30)


def _diamond() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none", marker="D", color=FAINT, markersize=5)


def _short(value: float, _: object = None) -> str:
    """Return a number as an axis shows it: 250k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:g}"


def _game(run: Run) -> str:
    """Return the game's name for people, as far as the run knows it."""
    try:
        return str(run.world["name"])
    except (CommandError, KeyError):
        return run.settings.env


def _labels(runs: Sequence[Run]) -> list[str]:
    """Return a short name for every run: its preset and seed, or its folder's name where these would be the same."""
    short = [f"{run.settings.preset}, seed {run.settings.seed}" for run in runs]
    keys = [(_game(run), label) for run, label in zip(runs, short, strict=True)]
    labels = [
        label if keys.count(key) == 1 else run.folder.name for run, label, key in zip(runs, short, keys, strict=True)
    ]
    return [label if labels.count(label) == 1 or keys.count(key) == 1 else str(run.folder)
            for run, label, key in zip(runs, labels, keys, strict=True)]  # fmt: skip


def _save(figure: Any, out: Path) -> None:
    draft = out.with_name(f".{out.stem}.{os.getpid()}.draft{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(draft)
        draft.replace(out)
    except OSError as error:
        reason = (error.strerror or "it is not writable").lower()
        raise CommandError(f"{out} cannot be written: {reason}", ENVIRONMENT) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
