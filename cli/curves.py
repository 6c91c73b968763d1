"""Curves: what a run's metrics.jsonl tells of its learning, as arrays, and the smoothing that makes them readable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .run import read_metrics

Array = NDArray[np.float64]
MOST_POINTS = 500  # of a drawn curve
WINDOW = (10, 100)  # episodes that one point of a smoothed curve stands for, at least and at most
BAND = (0.1, 0.9)  # quantiles


@dataclass(frozen=True)
class Curves:
    """One run's learning; `steps` are agent steps and `seconds` training time, each beside its values."""

    episodes: dict[str, Array]  # steps, seconds, score
    progress: dict[str, Array]  # steps, seconds, loss, q: nan where there was none yet
    evaluations: dict[str, Array]  # steps, seconds, mean, low, high

    def __bool__(self) -> bool:
        """Return whether there is anything to draw."""
        return bool(len(self.episodes["score"]) or len(self.progress["steps"]))


def read_curves(folder: str | Path) -> Curves:
    """Return the curves in a run's folder; empty ones if it has none yet. Torn and foreign lines are passed over."""
    rows = read_metrics(Path(folder) / "metrics.jsonl")
    lived = _lived([row for row in rows if row.get("kind") in ("episode", "progress") and _number(row, "step")])
    episodes = _columns([row for row in lived if row["kind"] == "episode"], ("step", "seconds", "score"))
    progress = _columns([row for row in lived if row["kind"] == "progress"], ("step", "seconds", "loss", "q"))
    evaluations = [row for row in rows if row.get("kind") == "evaluation" and _number(row, "mean")]
    for row in evaluations:
        interval = row.get("interval")
        row["low"], row["high"] = interval if isinstance(interval, list) and len(interval) == 2 else (row["mean"],) * 2
        if not _number(row, "seconds") and len(progress["steps"]) and _number(row, "step"):
            row["seconds"] = float(np.interp(row["step"], progress["steps"], progress["seconds"]))
    return Curves(episodes, progress, _columns(evaluations, ("step", "seconds", "mean", "low", "high")))


def smooth(x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """Return (x, mean, low, high) of the latest values at each x: a 20th of all of them, within WINDOW.

    low and high are the quantiles of BAND. Long curves are thinned to MOST_POINTS.
    """
    kept = np.isfinite(x) & np.isfinite(y)
    x, y = x[kept], y[kept]
    if not len(y):
        return x, y, y, y
    width = min(max(len(y) // 20, WINDOW[0]), WINDOW[1])
    picked = np.unique(np.linspace(0, len(y) - 1, MOST_POINTS).round().astype(int))
    windows = sliding_window_view(np.concatenate([np.full(width - 1, np.nan), y]), width)[picked]  # shorter at first
    low, high = np.nanquantile(windows, BAND, axis=1)
    return x[picked], np.nanmean(windows, 1), low, high


def _lived(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows without those that a crash undid: a resumed run goes back to its checkpoint's step."""
    kept: list[dict[str, Any]] = []
    for row in rows:
        while kept and kept[-1]["step"] > row["step"]:
            kept.pop()
        kept.append(row)
    return kept


def _number(row: dict[str, Any], key: str) -> bool:
    return isinstance(row.get(key), int | float)


def _columns(rows: list[dict[str, Any]], keys: tuple[str, ...]) -> dict[str, Array]:
    """Return an array for each key, nan where a row has no number; `step` is called `steps`."""
    return {
        "steps" if key == "step" else key: np.array(
            [float(row[key]) if _number(row, key) else np.nan for row in rows], np.float64
        )
        for key in keys
    }
