"""Worlds to act in: `make` is the one door for training, `make_screen` the one for watching."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import UnknownWorld, WorldError

if TYPE_CHECKING:
    from .catalogue import trainable as trainable
    from .door import make as make
    from .human import human_normalised as human_normalised
    from .human import reference_scores as reference_scores
    from .screen import Screen as Screen
    from .screen import make_screen as make_screen
    from .world import World as World

__all__ = [
    "Screen",
    "UnknownWorld",
    "World",
    "WorldError",
    "human_normalised",
    "make",
    "make_screen",
    "reference_scores",
    "trainable",
]

# Loaded at first use: gymnasium takes its time, and `rlrun --help` needs none of it.
_LAZY = {
    "Screen": ".screen",
    "World": ".world",
    "human_normalised": ".human",
    "make": ".door",
    "make_screen": ".screen",
    "reference_scores": ".human",
    "trainable": ".catalogue",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name], __name__), name)
    globals()[name] = value
    return value
