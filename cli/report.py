"""Report: what a training session tells, for the screen, the metrics and TensorBoard alike, and in words."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from .live import duration, sparkline


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


class ReportTeller:
    """Puts the reports of one session into words."""

    def __init__(self) -> None:
        """Remember the scores for a sparkline."""
        self._scores: deque[float] = deque(maxlen=600)

    def line(self, report: Report) -> str:
        """Return a report as one line of text."""
        score = "-" if report.score is None else f"{report.score:.2f}"
        return (
            f"step {report.step:,} ({report.fraction:.0%}) | {report.steps_per_second:,.0f} steps/s | "
            f"{remaining(report)} | score {score} over {min(report.episodes, 100)} episodes | "
            f"epsilon {report.epsilon:.3f} | loss {number(report.loss)} | mean Q {number(report.q)} | "
            f"checkpoint {report.checkpoint or 'none yet'}"
        )

    def rows(self, report: Report) -> list[tuple[str, str]]:
        """Return a report as the rows of a panel."""
        if report.score is not None:
            self._scores.append(report.score)
        score = "no episode has ended yet" if report.score is None else f"{report.score:.2f}"
        return [
            ("time", f"{duration(report.seconds)} gone, {remaining(report)}"),
            ("steps", f"{report.step:,} ({report.frames:,} frames), {report.updates:,} updates"),
            ("speed", f"{report.steps_per_second:,.0f} steps/s"),
            ("score", f"[bold green]{score}[/]  [dim]mean of the last 100 of {report.episodes:,} episodes[/]"),
            ("", f"[green]{sparkline(list(self._scores), 48)}[/]"),
            ("epsilon", f"{report.epsilon:.3f}"),
            ("loss", f"{number(report.loss)}    [dim]mean Q[/] {number(report.q)}"),
            ("time spent", "  ".join(f"{name} {share:.0%}" for name, share in report.sections.items())),
            ("checkpoint", report.checkpoint or "none yet"),
        ]


def remaining(report: Report) -> str:
    """Return how long the budget will still take, as text."""
    return "no end set" if report.eta is None else f"{duration(report.eta)} left"


def number(value: float | None) -> str:
    """Return a number in four digits, a dash for none."""
    return "-" if value is None else f"{value:.4g}"
