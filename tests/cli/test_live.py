"""The views of a run: which one is chosen, and what they tell."""

import io
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console
from rich.panel import Panel

import rlrun
from rlrun.cli import live
from rlrun.cli.fitting import FitTeller
from rlrun.cli.live import JsonView, LiveView, PlainView, duration, sparkline, view
from rlrun.cli.report import Report, ReportTeller
from rlrun.networks.fit import Fitting

REPORT = Report(
    step=1_000, frames=4_000, updates=0, episodes=0, seconds=2.0, score=None, epsilon=0.9, loss=None, q=None,
    steps_per_second=500.0, fraction=0.25, eta=6.0,
)  # fmt: skip


@pytest.mark.parametrize(("installed", "kind"), [(True, LiveView), (False, PlainView)])
def test_a_notebook_gets_the_panel_only_where_it_can_be_redrawn(
    monkeypatch: pytest.MonkeyPatch, installed: bool, kind: type
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr(live, "find_spec", lambda name: object() if installed else None)
    with view(False, "CartPole-v1", ReportTeller()) as shown:
        assert type(shown) is kind


def test_pipes_get_plain_lines() -> None:
    with view(False, "CartPole-v1", ReportTeller()) as shown:
        assert type(shown) is PlainView


def test_a_fit_in_a_notebook_is_shown_as_training_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr(live, "find_spec", lambda name: object())
    drawn: list[str] = []
    monkeypatch.setattr(LiveView, "show", lambda self, told: drawn.append(text_of(self.panel(told))))
    rlrun.classify("logistic", "simple", epochs=3, directory=tmp_path)
    assert "logistic on simple, seed 0" in drawn[0]
    assert "after the first epoch" not in drawn[-1]
    assert "0 s left" in drawn[-1]


def text_of(panel: Panel) -> str:
    console = Console(width=100, file=io.StringIO())
    console.print(panel)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_runs_and_fits_share_the_panel_with_its_bar() -> None:
    fitting = Fitting(2, 8, 0.25, 3.0, -0.5, 0.9, 0.8)
    for title, teller, told in (("a fit", FitTeller("a fit"), fitting), ("a run", ReportTeller(), REPORT)):
        shown = LiveView[Any](title, teller)
        text = text_of(shown.panel(told))
        shown.stop()
        assert title in text
        assert "━" * 10 + "─" * 30 + " 25.0%" in text
    assert "log-likelihood  -0.5000  an example" in text_of(LiveView[Any]("", FitTeller("")).panel(fitting))


def test_the_last_test_accuracy_stays_until_the_next() -> None:
    teller = FitTeller("a fit")
    assert ("test", "after the first epoch") in teller.rows(Fitting(0, 8, 0.1, 3.0, -0.5, 0.9, None))
    assert ("test", "[bold]80.00%[/] right") in teller.rows(Fitting(1, 8, 0.125, 3.0, -0.5, 0.9, 0.8))
    assert ("test", "[bold]80.00%[/] right") in teller.rows(Fitting(1, 8, 0.2, 3.0, -0.5, 0.9, None))


def test_json_says_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    with view(True, "a fit", FitTeller("a fit")) as shown:
        assert type(shown) is JsonView
        shown.show(Fitting(2, 8, 0.25, 3.0, -0.5, 0.9, 0.8))
        shown.say("done")
    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["kind"], first["title"], first["epoch"], first["test_accuracy"]) == ("progress", "a fit", 2, 0.8)
    assert last == {"kind": "note", "text": "done"}


def test_plain_lines_are_the_first_the_last_and_one_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([100.0, 101.0, 109.9, 110.1, 111.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    shown = PlainView[Any](FitTeller("a fit"))
    for epoch in range(1, 6):
        shown.show(Fitting(epoch, 5, epoch / 5, 3.0, -0.5, 0.9, None))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" (")[0] for line in lines] == [f"a fit: epoch {epoch} of 5" for epoch in (1, 4, 5)]


def test_a_sparkline_goes_from_the_lowest_block_to_the_highest_and_is_never_wider_than_asked_for() -> None:
    assert sparkline([0.0, 7.0, 3.0], 10) == "▁█▄"
    assert sparkline([0.0, 2.0, 6.0, 8.0], 2) == "▁█"
    assert sparkline([5.0, 5.0], 10) == "▁▁"
    assert sparkline([], 10) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(48.2, "48 s"), (725.0, "12:05 min"), (12_000.0, "3:20:00 h"), (59.7, "1:00 min")]
)
def test_a_duration_reads_as_a_person_says_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_plain_line_says_what_is_not_known_yet() -> None:
    line = ReportTeller().line(REPORT)
    assert line.startswith("step 1,000 (25%) | 500 steps/s | 6 s left | score - over 0 episodes | epsilon 0.900")
    assert line.endswith("loss - | mean Q - | checkpoint none yet")
