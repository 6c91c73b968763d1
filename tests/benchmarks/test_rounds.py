"""Rounds: who takes turns with whom, and how it is told."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def rounds(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("rounds")


def test_every_variant_gets_a_turn_before_any_gets_its_second(rounds: ModuleType) -> None:
    turns: list[str] = []

    def turn(name: str) -> dict[str, float]:
        turns.append(name)
        return {"ms": float(len(turns))}

    rows = rounds.take_turns({"a": lambda: turn("a"), "b": lambda: turn("b")}, 3)
    assert turns == ["a", "b", "a", "b", "a", "b"]
    assert [(row["round"], row["variant"], row["ms"]) for row in rows[:3]] == [(1, "a", 1), (1, "b", 2), (2, "a", 3)]


def test_a_median_is_over_the_rounds_of_one_variant(rounds: ModuleType) -> None:
    rows = [{"round": n, "variant": "a", "ms": ms} for n, ms in enumerate((5.0, 1.0, 100.0))]
    rows.append({"round": 0, "variant": "b", "gflops": 7.0})
    assert rounds.medians(rows) == {"a": {"ms": 5.0}, "b": {"gflops": 7.0}}


def test_words_stand_to_the_left_and_numbers_to_the_right(rounds: ModuleType) -> None:
    told = rounds.table([["name", "ms"], ["a", "1.5"], ["longer", "10.25"]])
    assert told.splitlines() == ["name       ms", "a         1.5", "longer  10.25"]


def test_a_csv_holds_the_columns_of_all_variants(rounds: ModuleType, tmp_path: Path) -> None:
    rounds.write_csv(tmp_path / "new" / "out.csv", [{"variant": "a", "ms": 1}, {"variant": "b", "gflops": 2}])
    assert (tmp_path / "new" / "out.csv").read_text() == "variant,ms,gflops\na,1,\nb,,2\n"


def test_a_call_is_timed_as_often_as_fits_and_the_device_is_waited_for(rounds: ModuleType) -> None:
    calls: list[str] = []
    rounds.seconds_a_call(lambda: calls.append("call"), 0.0, lambda: calls.append("settle"))
    assert calls == ["settle", "call", "settle", "call", "settle"]
