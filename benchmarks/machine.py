"""Machine: what a benchmark was measured on, for its results."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "rlrun", "torch", "numpy", "scikit-learn", "gymnasium", "ale-py", "stable-baselines3", "tianshou", "torchrl",
    "opencv-python-headless",
)  # fmt: skip


def describe() -> dict[str, Any]:
    """Return the CPU's model, the cores this process may use, the GPU, the system, and the versions of what matters."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    found = {"cpu": _cpu_model(), "cores": cores(), "system": platform.system(), "versions": versions}
    torch = sys.modules.get("torch")  # what measures no network need not load it
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def warn_if_busy() -> None:
    """Say on stderr if other processes keep the cores busy."""
    load = os.getloadavg()[0]
    if load >= 0.5:
        print(
            f"warning: the load average is {load:.1f} before anything is measured: other processes disturb the speeds",
            file=sys.stderr,
        )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
