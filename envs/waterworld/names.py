"""Waterworld's names: any spelling of the world and its variant, as people type it."""

from __future__ import annotations

from ..atari_names import normalised, without_version
from ..errors import UnknownWorld, did_you_mean, one_of
from .layout import DEFAULT, LAYOUTS

VARIANTS = {layout.name: variant for variant, layout in LAYOUTS.items()}  # by what the catalogue calls them
_WORLD = "waterworld"


def variant_named(name: str) -> str | None:
    """Return the variant that a name means, or None if it does not name Waterworld.

    `Waterworld`, `rlrun/Waterworld-v0`, `Waterworld-reinforcejs` and `waterworld_rldemo` all work. Raises UnknownWorld,
    with the nearest names, for Waterworld with an unknown variant behind.
    """
    bare = name.strip()
    if bare[:6].lower() == "rlrun/":
        bare = bare[6:]
    spelled = normalised(without_version(bare))
    if not spelled.startswith(_WORLD):
        return None
    variant = spelled.removeprefix(_WORLD)
    if not variant:
        return DEFAULT
    if variant not in LAYOUTS:
        names = {key: layout.name for key, layout in LAYOUTS.items()}
        otherwise = f"; it is {one_of(names.values())}."
        raise UnknownWorld(f"unknown environment {name.strip()!r}" + did_you_mean(variant, names, otherwise))
    return variant
