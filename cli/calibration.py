"""Calibration: the sheet that asks whether an agent gets what it expects."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..agents.returns import Calibration, calibrate
from ..networks.probe import ProbeError
from .canvas import figure_titled
from .evaluate import SEED_OFFSET
from .plot import COLORS, FAINT, _save

if TYPE_CHECKING:
    from .player import Player
    from .subject import Answer, Request, Subject

WORLDS = 8
MOST_BOOTSTRAP = 0.05  # of a return may be a value instead of rewards
LONGEST = 2_000  # steps until the bootstrap's weight has fallen to that
BINS = 12
BAND = (0.1, 0.9)  # quantiles


def draw_calibration(subject: Subject, request: Request, out: Path) -> Answer:
    """Draw max_a Q of visited states against the discounted return that really followed."""
    if subject.player is None:
        raise ProbeError("a classifier expects no return: ask an agent")
    player = subject.player
    found = played(player, request.seed)
    if len(found.predicted) < BINS:
        raise ProbeError(
            f"with discount = {player.config.discount:g} no return of {player.name} could be followed to its end"
        )
    notes = sentences(found, player)
    figure = figure_titled(6.6, 6.6, f"{subject.title}: does it get what it expects?")
    _draw(figure.subplots(), found, notes)
    _save(figure, out)
    return {"predicted": found.predicted, "realised": found.realised}, notes


def played(player: Player, seed: int) -> Calibration:
    """Return what the agent expected and what came, in fresh worlds that training did not see."""
    from ..envs import make

    discount = player.config.discount
    horizon = LONGEST if discount == 1 else math.ceil(math.log(MOST_BOOTSTRAP) / math.log(max(discount, 1e-9)))
    steps = 500 + 2 * min(horizon, LONGEST)
    protocol = player.protocol if player.protocol != "none" else "machado"
    envs = player.seeing(make(player.world, WORLDS, player.seed + SEED_OFFSET + seed, protocol))
    try:
        return calibrate(player.agent, envs, steps, player.config.evaluation_epsilon, MOST_BOOTSTRAP)
    finally:
        envs.close()


def sentences(found: Calibration, player: Player) -> list[str]:
    """Return the numbers in words."""
    config = player.config
    said = [
        f"over {len(found.predicted):,} states it expects {found.predicted.mean():.3g} and gets "
        f"{found.realised.mean():.3g} on average: over-estimation {found.overestimation:+.3g}, "
        f"correlation {found.correlation:.2f}",
        f"returns as it learned them: discount {config.discount:g}, "
        + (f"rewards clipped to +-{config.reward_clip:g}" if config.reward_clip else "raw rewards")
        + (f", negative ones times {config.penalty_scale:g}" if config.penalty_scale != 1.0 else ""),
    ]
    if config.munchausen:
        said.append("its Q holds the Munchausen term and the policy's entropy, which the returns do not")
    return said


def _draw(axes: Any, found: Calibration, notes: list[str]) -> None:
    """Draw the states as a cloud, and in bins of equally many the mean return and where 80% of the returns lie."""
    x, y = found.predicted, found.realised
    axes.plot(x, y, ".", color=COLORS[0], alpha=0.12, markersize=3, markeredgewidth=0, rasterized=True)
    bins = np.array_split(np.argsort(x, kind="stable"), BINS)
    centre = np.array([x[each].mean() for each in bins])
    mean = np.array([y[each].mean() for each in bins])
    low, high = np.array([np.quantile(y[each], BAND) for each in bins]).T
    axes.vlines(centre, low, high, color=COLORS[1], linewidth=2)
    axes.plot(centre, mean, "o", color=COLORS[1], markersize=6, markeredgecolor="white", label="mean return of a bin")
    axes.vlines([], [], [], color=COLORS[1], label="where 80% of its returns lie")
    ends = (min(x.min(), y.min()), max(x.max(), y.max()))
    axes.plot(ends, ends, color=FAINT, linewidth=1.2, linestyle="--", label="gets what it expects")
    axes.set(xlabel="expected: max_a Q", ylabel="the discounted return that followed")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    axes.set_title("\n".join(notes), fontsize=7.5, loc="left", color=FAINT)
