"""One thread for every test, and for the processes it starts: small networks only lose time on a second one.

And what all tests of kernels share: each runs twice, in Triton's interpreter on the CPU, and on a GPU where there is
one; and each kernel is compiled for an H100 or H200 on a machine without one.
"""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported anywhere

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
ALIGNED = [["tt.divisibility", 16]]  # what Triton's launcher finds out about torch's tensors


@pytest.fixture
def kernels_on() -> Callable[[str], str]:
    """Return what tells on which device kernels run that are "interpreted" or for "cuda", or skips with the reason."""

    def place(kind: str) -> str:
        import torch

        if importlib.util.find_spec("triton") is None:
            pytest.skip("triton is not installed: pip install 'rlrun[test]' brings it on Linux")
        if kind == "interpreted":
            if not INTERPRETED:
                pytest.skip("Triton reads TRITON_INTERPRET once: test_interpreter.py runs this in a process of its own")
            return "cpu"
        if INTERPRETED or not torch.cuda.is_available():
            pytest.skip("there is no GPU")
        return "cuda"

    return place


@pytest.fixture(params=["interpreted", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest, kernels_on: Callable[[str], str]) -> str:
    """Return where the kernels under test run, or skip with the reason why they cannot run there."""
    return kernels_on(request.param)


@pytest.fixture
def passes_interpreted() -> Callable[..., None]:
    """Return what fails unless all tests of kernels in some files pass in Triton's interpreter, and none is skipped."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")

    def check(*files: Path) -> None:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not cuda", *map(str, files)]
        run = subprocess.run(
            command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
        summary = run.stdout.splitlines()[-1]
        assert " passed" in summary, run.stdout
        assert "skipped" not in summary, run.stdout

    return check


@pytest.fixture
def no_waiting() -> Callable[[], AbstractContextManager[None]]:
    """Return a context that raises where the host waits for the GPU."""
    import torch

    @contextmanager
    def watched() -> Iterator[None]:
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return watched


@pytest.fixture
def compiled() -> Callable[..., Any]:
    """Return what compiles a kernel for sm_90, its pointers, which may come in tuples, aligned to 16 bytes.

    Skip where that is not possible.
    """
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    if INTERPRETED:
        pytest.skip("an interpreted kernel is not compiled")
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    def compile(kernel: Any, signature: dict[str, Any], constants: dict[str, Any], **options: Any) -> Any:
        names = list(signature)
        places: list[tuple[tuple[int, ...], str]] = []
        for i, kind in enumerate(signature.values()):
            places += [((i,), kind)] if isinstance(kind, str) else [((i, j), each) for j, each in enumerate(kind)]
        attributes = {place: ALIGNED for place, kind in places if kind.startswith("*")}
        source = ASTSource(
            kernel,
            {**signature, **dict.fromkeys(constants, "constexpr")},
            constexprs={(len(names) + i,): value for i, value in enumerate(constants.values())},
            attrs=attributes,
        )
        return triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4, **options})

    return compile


@pytest.fixture
def memory_of_a_thread(tmp_path: Path) -> Callable[[Any], int]:
    """Return what tells the bytes outside of its registers that a thread needs: where registers spill to."""

    def memory(kernel: Any) -> int:
        import triton

        tool = next(Path(triton.__file__).parent.glob("backends/nvidia/bin/cuobjdump"))
        binary = tmp_path / "kernel.cubin"
        binary.write_bytes(kernel.asm["cubin"])
        command = [str(tool), "--dump-resource-usage", str(binary)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        usage = re.search(r"REG:\d+ STACK:(\d+) .*LOCAL:(\d+)", told)
        assert usage is not None, told
        return int(usage.group(1)) + int(usage.group(2))

    return memory
