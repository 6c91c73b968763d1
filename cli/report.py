"""Report: what a training session tells, for the screen, the metrics and TensorBoard alike."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Report:
    """Where a run stands, for whoever shows it."""

    step: int
    frames: int  # emulator frames
    updates: int
    episodes: int
    seconds: float  # of training, over all sessions
    score: float | None  # mean of the last 100 episodes, None before the first
    epsilon: float
    loss: float | None  # None while nothing was learned
    q: float | None  # mean over states of max_a E[R | a]
    steps_per_second: float
    fraction: float  # of the budget
    eta: float | None  # seconds
    sections: dict[str, float] = field(default_factory=dict)  # share of the time
    checkpoint: str = ""  # the last one's name
