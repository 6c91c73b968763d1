"""Fitting: where a classifier's fit stands, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .live import duration, sparkline

if TYPE_CHECKING:
    from ..networks.fit import Fitting


class FitTeller:
    """Puts the reports of one fit into words."""

    def __init__(self, title: str) -> None:
        """Remember the likelihoods for a sparkline, and the last test accuracy."""
        self._title = title
        self._likelihoods: list[float] = []
        self._tested: float | None = None

    def line(self, fitting: Fitting) -> str:
        """Return where the fit stands as one line of text."""
        test = "" if fitting.test_accuracy is None else f" | test {fitting.test_accuracy:.2%}"
        return (
            f"{self._title}: epoch {fitting.epoch} of {fitting.epochs} ({fitting.fraction:.0%}) | log-likelihood "
            f"{fitting.log_likelihood:.4f} an example | training {fitting.accuracy:.2%}{test}"
        )

    def rows(self, fitting: Fitting) -> list[tuple[str, str]]:
        """Return where the fit stands as the rows of a panel."""
        self._likelihoods.append(fitting.log_likelihood)
        if fitting.test_accuracy is not None:
            self._tested = fitting.test_accuracy
        left = duration(fitting.seconds * (1 / fitting.fraction - 1))
        return [
            ("time", f"{duration(fitting.seconds)} gone, {left} left"),
            ("epoch", f"{fitting.epoch} of {fitting.epochs}"),
            ("log-likelihood", f"[bold green]{fitting.log_likelihood:.4f}[/]  [dim]an example[/]"),
            ("", f"[green]{sparkline(self._likelihoods, 48)}[/]"),
            ("training", f"{fitting.accuracy:.2%} right"),
            ("test", "after the first epoch" if self._tested is None else f"[bold]{self._tested:.2%}[/] right"),
        ]
