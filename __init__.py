"""rlrun: deep Q-learning that trains, watches and explains its agents."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cli.classify import classify as classify
    from .cli.inspect import inspect as inspect
    from .cli.model import Model as Model
    from .cli.player import Player as Player
    from .cli.player import load as load
    from .cli.run import Run as Run
    from .cli.train import train as train
    from .envs import make as make

from .envs.waterworld.register import register_when_imported

__version__ = "0.1.0"
__all__ = ["Model", "Player", "Run", "__version__", "classify", "inspect", "load", "make", "train"]

# Loaded at first use: torch and gymnasium take their time, and most imports need one of them at most.
_LAZY = {
    "Model": ".cli.model",
    "Player": ".cli.player",
    "Run": ".cli.run",
    "classify": ".cli.classify",
    "inspect": ".cli.inspect",
    "load": ".cli.player",
    "make": ".envs",
    "train": ".cli.train",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


register_when_imported()
