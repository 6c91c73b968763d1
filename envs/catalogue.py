"""The catalogue: every environment that can be trained on, and the one that a person's spelling means."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

import gymnasium

from .atari_names import game_id, game_name, normalised, rom_name, roms, without_version
from .errors import UnknownWorld, did_you_mean
from .gym_names import KNOWN, gym_id, registered
from .waterworld.layout import LAYOUTS
from .waterworld.names import variant_named


class Entry(NamedTuple):
    """One line of the catalogue; `id` is what `make` accepts."""

    id: str
    kind: str
    description: str


class Found(NamedTuple):
    """What a name means, by kind.

    "atari" (id: a ROM name), "waterworld" (id: a variant's name), "gym" (an id) or "module" (`module:Class or id`).
    """

    kind: str
    id: str

    @property
    def title(self) -> str:
        """What to call it on a screen."""
        return game_name(self.id) if self.kind == "atari" else self.id


def trainable() -> list[Entry]:
    """Return all Atari games and the environments that come with gymnasium and fit, without making any of them."""
    games = [Entry(game_id(rom), "atari", game_name(rom)) for rom in roms()]
    has_box2d = find_spec("Box2D") is not None
    others = [
        Entry(id, known.kind, known.description)
        for id, known in KNOWN.items()
        if id in gymnasium.registry and (known.kind != "box2d" or has_box2d)
    ]
    ours = [Entry(layout.name, "waterworld", layout.description) for layout in LAYOUTS.values()]
    return ours + others + games


def find(name: str) -> Found:
    """Return what `name` means, or raise UnknownWorld with the three nearest names.

    An exact gymnasium id wins, then an Atari game in any spelling, then a loose spelling of a gymnasium name: so
    `Blackjack-v1` is the card table of gymnasium and `blackjack` the cartridge.
    """
    wanted = name.strip()
    if ":" in wanted:
        module, _, inside = wanted.partition(":")
        if not module or not inside:
            raise UnknownWorld(f"{wanted!r} is not complete: a world of your own is written module:Class.")
        return Found("module", wanted)
    variant = variant_named(wanted)
    if variant is not None:
        return Found("waterworld", LAYOUTS[variant].name)
    if gym_id(wanted) == wanted:
        return Found("gym", wanted)
    rom = rom_name(wanted)
    if rom is not None:
        return Found("atari", rom)
    id = gym_id(wanted)
    if id is not None:
        return Found("gym", id)
    raise UnknownWorld(_unknown(wanted))


def _unknown(wanted: str) -> str:
    # What cannot be trained on is not offered; what the person registered is.
    builtin = ("gymnasium.", f"{__package__}.")
    own = {id for id in registered().values() if not str(gymnasium.registry[id].entry_point).startswith(builtin)}
    names = {normalised(game_name(rom)): game_name(rom) for rom in roms()}
    if wanted[:4].lower() != "ale/":
        ours = [layout.name for layout in LAYOUTS.values()]
        names |= {normalised(without_version(id)): id for id in (*own, *KNOWN, *ours)}
    bare = without_version(wanted.lower().removeprefix("ale/"))
    otherwise = "; `rlrun envs` lists the known ones."
    return f"unknown environment {wanted!r}" + did_you_mean(normalised(bare), names, otherwise)
