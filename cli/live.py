"""Live: how whatever takes its time is shown: a panel that redraws itself, plain lines, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from rich.panel import Panel

PLAIN_SECONDS = 10.0
BLOCKS = "▁▂▃▄▅▆▇█"
BAR, WIDTH = 40, 88  # characters of a bar, and of the panel at most


class Told(Protocol):
    """Where something stands: a dataclass that knows how far it is."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def fraction(self) -> float:
        """The share that is done."""


T = TypeVar("T", bound=Told)
Shown = TypeVar("Shown", bound=Told, contravariant=True)


class Teller(Protocol[Shown]):
    """Whoever puts it into words."""

    def line(self, told: Shown, /) -> str:
        """Return it as one line of text."""

    def rows(self, told: Shown, /) -> list[tuple[str, str]]:
        """Return it as rows of a panel, a name and rich's markup; called once for each report."""


class View(Protocol[Shown]):
    """Whoever shows it."""

    def say(self, line: str) -> None:
        """Show one line for good."""

    def show(self, told: Shown, /) -> None:
        """Show where it stands."""


class JsonView:
    """A JSON object a line, for machines."""

    def __init__(self, title: str) -> None:
        """Say in every report what it is about."""
        self._title = title

    def say(self, line: str) -> None:
        """Write the line as an object."""
        print(json.dumps({"kind": "note", "text": line}), flush=True)

    def show(self, told: Told) -> None:
        """Write the report as an object."""
        print(json.dumps({"kind": "progress", "title": self._title, **asdict(told)}), flush=True)


class PlainView(Generic[T]):
    """A line every ten seconds, for logs and pipes."""

    def __init__(self, teller: Teller[T]) -> None:
        """Show the first report at once."""
        self._teller = teller
        self._last = -PLAIN_SECONDS

    def say(self, line: str) -> None:
        """Write the line."""
        print(line, flush=True)

    def show(self, told: T) -> None:
        """Write a line if it is time, or if it is the last."""
        now = time.monotonic()
        if now - self._last >= PLAIN_SECONDS or told.fraction >= 1.0:
            self._last = now
            print(self._teller.line(told), flush=True)


class LiveView(Generic[T]):
    """A panel in the terminal or the notebook that redraws itself."""

    def __init__(self, title: str, teller: Teller[T], *, leave: bool = True) -> None:
        """Start drawing; the last panel stands at the end if `leave`."""
        from rich.console import Console
        from rich.live import Live

        self._title, self._teller = title, teller
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=4, transient=not leave)
        self._live.start()

    def say(self, line: str) -> None:
        """Show the line above the panel."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, told: T) -> None:
        """Redraw the panel."""
        self._live.update(self.panel(told))

    def panel(self, told: T) -> Panel:
        """Return the panel: a bar, and below it the teller's rows."""
        from rich.panel import Panel
        from rich.table import Table

        bar = "━" * round(BAR * told.fraction)
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", justify="right")
        table.add_column()
        table.add_row("progress", f"[cyan]{bar}[/][dim]{'─' * (BAR - len(bar))}[/] {told.fraction:.1%}")
        for row in self._teller.rows(told):
            table.add_row(*row)
        return Panel(table, title=self._title, border_style="cyan", width=min(self._console.width, WIDTH))

    def stop(self) -> None:
        """Stop drawing."""
        self._live.stop()


@contextmanager
def view(as_json: bool, title: str, teller: Teller[T], *, leave: bool = True) -> Iterator[View[T]]:
    """Choose how to show it: JSON if asked for, a live panel on a terminal or in a notebook, else plain lines.

    Args:
        as_json: JSON lines.
        title: what it is about.
        teller: puts it into words.
        leave: whether the last panel stays.

    """
    if as_json:
        yield JsonView(title)
    elif sys.stdout.isatty() or in_notebook():
        live = LiveView(title, teller, leave=leave)
        try:
            yield live
        finally:
            live.stop()
    else:
        yield PlainView(teller)


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


def duration(seconds: float) -> str:
    """Return seconds as text: 48 s, 12:05 min or 3:20:00 h."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def in_notebook() -> bool:
    """Return whether this is a notebook that can redraw a panel; rich warns at every redraw without ipywidgets."""
    return "ipykernel" in sys.modules and find_spec("ipywidgets") is not None
