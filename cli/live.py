"""Live: three ways to show a run's reports: a panel that redraws itself, plain lines, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.table import Table

    from .report import Report

PLAIN_SECONDS = 10.0
BLOCKS = "▁▂▃▄▅▆▇█"


class View(Protocol):
    """Whoever shows a run."""

    def say(self, line: str) -> None:
        """Show one line for good."""

    def show(self, report: Report) -> None:
        """Show where the run stands."""


class JsonView:
    """A JSON object a line, for machines."""

    def say(self, line: str) -> None:
        """Write the line as an object."""
        print(json.dumps({"kind": "note", "text": line}), flush=True)

    def show(self, report: Report) -> None:
        """Write the report as an object."""
        print(json.dumps({"kind": "progress", **asdict(report)}), flush=True)


class PlainView:
    """A line every ten seconds, for logs and pipes."""

    def __init__(self) -> None:
        """Show the first report at once."""
        self._last = -PLAIN_SECONDS

    def say(self, line: str) -> None:
        """Write the line."""
        print(line, flush=True)

    def show(self, report: Report) -> None:
        """Write a line if it is time, or if it is the last."""
        now = time.monotonic()
        if now - self._last >= PLAIN_SECONDS or report.fraction >= 1.0:
            self._last = now
            print(plain_line(report), flush=True)


class LiveView:
    """A panel in the terminal that redraws itself."""

    def __init__(self, title: str) -> None:
        """Start drawing."""
        from rich.console import Console
        from rich.live import Live

        self._title = title
        self._scores: deque[float] = deque(maxlen=600)
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=4, transient=False)
        self._live.start()

    def say(self, line: str) -> None:
        """Show the line above the panel."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, report: Report) -> None:
        """Redraw the panel."""
        from rich.panel import Panel

        if report.score is not None:
            self._scores.append(report.score)
        panel = Panel(self._table(report), title=self._title, border_style="cyan", width=min(self._console.width, 88))
        self._live.update(panel)

    def stop(self) -> None:
        """Leave the last panel standing."""
        self._live.stop()

    def _table(self, report: Report) -> Table:
        from rich.table import Table

        bar = "━" * round(40 * report.fraction)
        score = "no episode has ended yet" if report.score is None else f"{report.score:.2f}"
        shares = "  ".join(f"{name} {share:.0%}" for name, share in report.sections.items())
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", justify="right")
        table.add_column()
        table.add_row("progress", f"[cyan]{bar}[/][dim]{'─' * (40 - len(bar))}[/] {report.fraction:.1%}")
        table.add_row("time", f"{duration(report.seconds)} gone, {remaining(report)}")
        table.add_row("steps", f"{report.step:,} ({report.frames:,} frames), {report.updates:,} updates")
        table.add_row("speed", f"{report.steps_per_second:,.0f} steps/s")
        table.add_row("score", f"[bold green]{score}[/]  [dim]mean of the last 100 of {report.episodes:,} episodes[/]")
        table.add_row("", f"[green]{sparkline(list(self._scores), 48)}[/]")
        table.add_row("epsilon", f"{report.epsilon:.3f}")
        table.add_row("loss", f"{number(report.loss)}    [dim]mean Q[/] {number(report.q)}")
        table.add_row("time spent", shares)
        table.add_row("checkpoint", report.checkpoint or "none yet")
        return table


@contextmanager
def view(as_json: bool, title: str) -> Iterator[View]:
    """Choose how to show a run: JSON if asked for, a live panel on a terminal or in a notebook, else plain lines."""
    if as_json:
        yield JsonView()
    elif sys.stdout.isatty() or _in_notebook():
        live = LiveView(title)
        try:
            yield live
        finally:
            live.stop()
    else:
        yield PlainView()


def plain_line(report: Report) -> str:
    """Return a report as one line of text."""
    score = "-" if report.score is None else f"{report.score:.2f}"
    return (
        f"step {report.step:,} ({report.fraction:.0%}) | {report.steps_per_second:,.0f} steps/s | {remaining(report)} "
        f"| score {score} over {min(report.episodes, 100)} episodes | epsilon {report.epsilon:.3f} | "
        f"loss {number(report.loss)} | mean Q {number(report.q)} | checkpoint {report.checkpoint or 'none yet'}"
    )


def sparkline(values: list[float], width: int) -> str:
    """Return `values` as a line of blocks at most `width` wide, averaged in groups."""
    if not values:
        return ""
    groups = min(width, len(values))
    edges = [round(i * len(values) / groups) for i in range(groups + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((mean - low) * scale)] for mean in means)


def remaining(report: Report) -> str:
    """Return how long the budget will still take, as text."""
    return "no end set" if report.eta is None else f"{duration(report.eta)} left"


def duration(seconds: float) -> str:
    """Return seconds as text: 48 s, 12:05 min or 3:20:00 h."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def number(value: float | None) -> str:
    """Return a number in four digits, a dash for none."""
    return "-" if value is None else f"{value:.4g}"


def _in_notebook() -> bool:
    """Return whether this is a notebook that can redraw a panel; rich warns at every redraw without ipywidgets."""
    return "ipykernel" in sys.modules and find_spec("ipywidgets") is not None
