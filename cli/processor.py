"""What this machine's processor can do."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..agents.config import Config

FAST = {"amx_bf16", "bf16"}  # as Linux calls them on x86 and on ARM
VECTORS = "avx512_bf16"


@cache  # a large machine's file is long, and the answer stays
def against_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return what this processor does that makes float32 the faster, to follow "this processor"; "" where bfloat16 is.

    As far as Linux tells: elsewhere nobody is asked.
    """
    # Not torch, which says so only after it is imported, and in functions that are not public.
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    named = {name.strip(): value for name, _, value in (line.partition(":") for line in reversed(lines))}
    flags = {*named.get("flags", "").split(), *named.get("Features", "").split()}
    if flags & FAST:
        return ""
    if VECTORS not in flags:
        return "has no instructions for bfloat16"
    if named.get("vendor_id", "").strip() == "GenuineIntel":  # there the vectors have half the speed of float32's, on
        return "takes longer in bfloat16, as it shows no matrix unit (AMX)"  # AMD twice it (docs/performance.md)
    return ""


def precision_notes(config: Config, preset: Config, against: str) -> list[str]:
    """Return what a person should know of `config`, started from `preset`, where `against_bfloat16` found something."""
    if config.precision == "bfloat16":
        return [f"this processor {against}: --set precision=float32 will be faster"]
    if preset.precision == "bfloat16":
        return [f"it computes in float32, as this processor {against}"]
    return []
