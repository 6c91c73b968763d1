"""Three ways to show a fit: a panel that redraws itself, plain lines, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from .live import PLAIN_SECONDS, duration, sparkline

if TYPE_CHECKING:
    from ..networks.fit import Fitting

Show = Callable[["Fitting"], None]


@contextmanager
def fit_view(as_json: bool, title: str) -> Iterator[Show]:
    """Give a function that shows where a fit stands."""
    if as_json:
        yield lambda fitting: print(json.dumps({"kind": "progress", "title": title, **asdict(fitting)}), flush=True)
    elif sys.stdout.isatty():
        with _panel(title) as show:
            yield show
    else:
        yield _plain(title)


def _plain(title: str) -> Show:
    """Return a function that writes a line every ten seconds."""
    last = time.monotonic()

    def show(fitting: Fitting) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_SECONDS:
            last = time.monotonic()
            print(f"{title}: {_line(fitting)}", flush=True)

    return show


@contextmanager
def _panel(title: str) -> Iterator[Show]:
    from rich.live import Live
    from rich.panel import Panel
    from rich.table import Table

    likelihoods: list[float] = []
    tested: list[float] = []
    with Live(refresh_per_second=8, transient=True) as live:

        def show(fitting: Fitting) -> None:
            likelihoods.append(fitting.log_likelihood)
            if fitting.test_accuracy is not None:
                tested.append(fitting.test_accuracy)
            bar = "━" * round(40 * fitting.fraction)
            left = duration(fitting.seconds * (1 / fitting.fraction - 1))
            table = Table.grid(padding=(0, 2))
            table.add_column(style="dim", justify="right")
            table.add_column()
            table.add_row("progress", f"[cyan]{bar}[/][dim]{'─' * (40 - len(bar))}[/] {fitting.fraction:.0%}")
            table.add_row("time", f"{duration(fitting.seconds)} gone, {left} left")
            table.add_row("epoch", f"{fitting.epoch} of {fitting.epochs}")
            table.add_row("log-likelihood", f"[bold green]{fitting.log_likelihood:.4f}[/]  [dim]an example[/]")
            table.add_row("", f"[green]{sparkline(likelihoods, 48)}[/]")
            table.add_row("training", f"{fitting.accuracy:.2%} right")
            table.add_row("test", f"[bold]{tested[-1]:.2%}[/] right" if tested else "after the first epoch")
            live.update(Panel(table, title=title, border_style="cyan", width=min(live.console.width, 88)))

        yield show


def _line(fitting: Fitting) -> str:
    test = "" if fitting.test_accuracy is None else f" | test {fitting.test_accuracy:.2%}"
    return (
        f"epoch {fitting.epoch} of {fitting.epochs} ({fitting.fraction:.0%}) | log-likelihood "
        f"{fitting.log_likelihood:.4f} an example | training {fitting.accuracy:.2%}{test}"
    )
