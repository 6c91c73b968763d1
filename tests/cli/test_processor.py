"""bfloat16 where the processor is faster in it, float32 where it is not, and what a person chose in any case."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rlrun
from rlrun.cli import session, train
from rlrun.cli.processor import against_bfloat16

SMALL = {"learning_starts": 10, "replay_capacity": 1_000, "num_envs": 2, "width": 0.25, "hidden": "8", "batch_size": 4}


@pytest.mark.parametrize(
    ("cpuinfo", "has"),
    [
        ("vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx512f avx512_bf16 clzero\n", True),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512_bf16 amx_bf16 amx_tile\n", True),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512_bf16 avx512_fp16\n", False),
        ("Features\t: fp asimd i8mm bf16\n", True),
        ("model name\t: bf16\nflags\t\t: fpu avx2 fma\n", False),
        ("", False),
    ],
    ids=["zen4", "amx", "amx hidden", "arm", "without", "empty"],
)
def test_the_processors_flags_tell(cpuinfo: str, has: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert (against_bfloat16(tmp_path / "cpuinfo") == "") == has


def test_where_nothing_tells_it_is_taken_to_have_none(tmp_path: Path) -> None:
    assert against_bfloat16(tmp_path / "no such file") == "has no instructions for bfloat16"


Begin = Callable[..., tuple[str, str]]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Begin:
    """Return what starts a run on a processor that has bfloat16 or not: its precision, and what it says."""

    def started(
        has: bool,
        env: str = "Pong",
        preset: str = "fast",
        against: str = "has no instructions for bfloat16",
        **settings: Any,
    ) -> tuple[str, str]:
        for module in (train, session):
            monkeypatch.setattr(module, "against_bfloat16", lambda: "" if has else against)
        run = rlrun.train(env, preset=preset, settings=SMALL | settings, steps=4, directory=tmp_path, evaluate=0)
        return run.config.precision, capsys.readouterr().out

    return started


def test_fast_computes_in_bfloat16_on_a_processor_that_has_it(begin: Begin) -> None:
    precision, said = begin(has=True)
    assert precision == "bfloat16"
    assert "this processor" not in said


@pytest.mark.parametrize("preset", ["dqn", "rainbow"])
def test_bfloat16_is_what_pictures_are_computed_in_where_the_processor_has_it(begin: Begin, preset: str) -> None:
    assert begin(has=True, preset=preset)[0] == "bfloat16"
    assert begin(has=False, preset=preset)[0] == "float32"
    precision, said = begin(has=True, preset=preset, env="CartPole-v1")  # nothing to convolve
    assert precision == "float32"
    assert "this processor" not in said


def test_the_nature_papers_settings_stay_in_float32(begin: Begin) -> None:
    assert begin(has=True, preset="nature")[0] == "float32"


def test_fast_computes_in_float32_elsewhere_and_says_so(begin: Begin) -> None:
    precision, said = begin(has=False)
    assert precision == "float32"
    assert "it computes in float32, as this processor has no instructions for bfloat16\n" in said


def test_who_asks_for_bfloat16_gets_it_and_hears_what_it_costs(begin: Begin) -> None:
    precision, said = begin(has=False, precision="bfloat16")
    assert precision == "bfloat16"
    assert "this processor has no instructions for bfloat16: --set precision=float32 will be faster\n" in said


def test_the_reason_is_the_processors_own(begin: Begin) -> None:
    slow = "takes longer in bfloat16"
    assert f"it computes in float32, as this processor {slow}\n" in begin(has=False, against=slow)[1]


def test_intels_vectors_without_their_matrix_unit_are_named_as_the_reason(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("vendor_id\t: GenuineIntel\nflags\t\t: avx512_bf16\n")
    assert "AMX" in against_bfloat16(tmp_path / "cpuinfo")
