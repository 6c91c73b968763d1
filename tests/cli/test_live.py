"""The views of a run: which one is chosen, and what they tell."""

import sys
from types import ModuleType

import pytest

from rlrun.cli import live
from rlrun.cli.live import LiveView, PlainView, duration, plain_line, sparkline, view
from rlrun.cli.report import Report


@pytest.mark.parametrize(("installed", "kind"), [(True, LiveView), (False, PlainView)])
def test_a_notebook_gets_the_panel_only_where_it_can_be_redrawn(
    monkeypatch: pytest.MonkeyPatch, installed: bool, kind: type
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr(live, "find_spec", lambda name: object() if installed else None)
    with view(False, "CartPole-v1") as shown:
        assert type(shown) is kind


def test_pipes_get_plain_lines() -> None:
    with view(False, "CartPole-v1") as shown:
        assert type(shown) is PlainView


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
    report = Report(
        step=1_000, frames=4_000, updates=0, episodes=0, seconds=2.0, score=None, epsilon=0.9, loss=None, q=None,
        steps_per_second=500.0, fraction=0.25, eta=6.0,
    )  # fmt: skip
    line = plain_line(report)
    assert line.startswith("step 1,000 (25%) | 500 steps/s | 6 s left | score - over 0 episodes | epsilon 0.900")
    assert line.endswith("loss - | mean Q - | checkpoint none yet")
