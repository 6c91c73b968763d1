from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent


def test_the_kernels_do_what_their_twins_do_in_tritons_interpreter(passes_interpreted: Callable[..., None]) -> None:
    names = ("../test_ledger", "test_adam", "test_observe", "test_priorities")
    passes_interpreted(*(FOLDER / f"{name}.py" for name in names))
