"""What this machine's processor can do."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..agents.config import Config

BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # as Linux calls it on x86 and on ARM


@cache  # a large machine's file is long, and the answer stays
def multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor has instructions for bfloat16, as far as Linux tells; elsewhere nobody is asked."""
    # Not torch, which says so only after it is imported, and in functions that are not public.
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    named = (line.partition(":") for line in lines)
    return any(BFLOAT16 & set(flags.split()) for name, _, flags in named if name.strip() in ("flags", "Features"))


def precision_notes(config: Config, preset: Config) -> list[str]:
    """Return what a person should know of `config`, started from `preset`, on a processor without bfloat16."""
    if config.precision == "bfloat16":
        return ["this processor has no instructions for bfloat16: --set precision=float32 will be faster"]
    if preset.precision == "bfloat16":
        return ["it computes in float32, as this processor has no instructions for bfloat16"]
    return []
