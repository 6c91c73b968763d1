from collections.abc import Callable
from pathlib import Path


def test_the_kernels_do_what_their_twin_does_in_tritons_interpreter(passes_interpreted: Callable[..., None]) -> None:
    passes_interpreted(Path(__file__).with_name("test_rldemo.py"))
