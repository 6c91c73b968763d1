"""Each test of a kernel runs twice: in Triton's interpreter on the CPU, and on a GPU where there is one."""

import importlib.util
import os

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(params=["interpreted", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> str:
    """Return where the kernels under test run, or skip with the reason why they cannot run there."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed: pip install 'rlrun[test]' brings it on Linux")
    if request.param == "interpreted":
        if not INTERPRETED:
            pytest.skip("Triton reads TRITON_INTERPRET once: test_interpreter.py runs this in a process of its own")
        return "cpu"
    if INTERPRETED or not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    return "cuda"
