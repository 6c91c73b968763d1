"""Native: loops mean what is written, in the arrays' own precision, and need no folder to write to."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrun.native import native

Reals = NDArray[Any]


def _multiplied_and_added(x: Reals, y: Reals, z: Reals, out: Reals) -> None:
    for n in range(len(x)):
        out[n] = x[n] * y[n] + z[n]


def _divided(x: Reals, y: Reals, out: Reals) -> None:
    for n in range(len(x)):
        out[n] = x[n] / y[n]


multiplied_and_added, divided = native(_multiplied_and_added), native(_divided)


def test_a_product_is_rounded_before_it_is_added_to() -> None:
    x, y, z = np.random.default_rng(0).standard_normal((3, 100_000)).astype(np.float32)
    out = np.empty_like(x)
    multiplied_and_added(x, y, z, out)
    assert np.array_equal(out, x * y + z)
    fused = (x.astype(np.float64) * y + z).astype(np.float32)
    assert not np.array_equal(out, fused)  # the numbers tell one from the other


def test_a_division_by_zero_is_as_numpys() -> None:
    out = np.empty(3)
    divided(np.array([1.0, -1.0, 0.0]), np.zeros(3), out)
    assert np.array_equal(out, np.array([np.inf, -np.inf, np.nan]), equal_nan=True)


def test_where_nothing_can_be_written_each_process_compiles_for_itself(tmp_path: Path) -> None:
    # No file to keep machine code beside, and no home either.
    code = "from rlrun.native import native\n@native\ndef twice(x):\n    return 2 * x\nprint(twice(21))"
    source = tmp_path / "a.py"
    source.write_text("import sys\nexec(compile(open(sys.argv[1]).read(), '/nowhere/at/all.py', 'exec'))")
    (tmp_path / "b.py").write_text(code)
    environment = {**os.environ, "HOME": "/nowhere", "XDG_CACHE_HOME": "/nowhere"}
    shown = subprocess.run(
        [sys.executable, source, tmp_path / "b.py"], env=environment, capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stdout) == (0, "42\n"), shown.stderr
