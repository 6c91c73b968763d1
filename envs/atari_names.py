"""Atari names: any spelling of a game to ale-py's ROM name, and back to a name for people."""

from __future__ import annotations

import re
from functools import cache

# Their cartridges start in a mode for two people only; ale-py registers no environment for them either.
_TWO_PLAYERS_ONLY = {"combat", "joust", "maze_craze", "warlords"}
# Old gymnasium ids name the same games: the suffix told a protocol, and that now comes from us. The "-ram" ids
# observe memory, not the screen, so they are not the same environment and do not match.
_SUFFIX = re.compile(r"(NoFrameskip|Deterministic)?-v\d+$", re.IGNORECASE)


def normalised(name: str) -> str:
    """Return the letters and digits of a name in lower case: `Ms. Pacman`, `ms_pacman` -> `mspacman`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def without_version(name: str) -> str:
    """Return the name without the version of a gymnasium id: `PongNoFrameskip-v4` -> `Pong`."""
    return _SUFFIX.sub("", name)


@cache
def roms() -> tuple[str, ...]:
    """Return the ROM names of all games for one player that ship with ale-py, sorted, in snake_case."""
    from ale_py.roms import get_all_rom_ids

    return tuple(sorted(rom for rom in get_all_rom_ids() if rom not in _TWO_PLAYERS_ONLY))


@cache
def _by_spelling() -> dict[str, str]:
    return {normalised(rom): rom for rom in roms()}


def rom_name(name: str) -> str | None:
    """Return the ROM name for any spelling of a game, or None if no game answers to it.

    `Breakout`, `breakout`, `MsPacman`, `Ms. Pacman`, `ALE/Pong-v5`, `Pong-v5` and `PongNoFrameskip-v4` all work.
    """
    bare = name.strip()
    if bare[:4].lower() == "ale/":
        bare = bare[4:]
    return _by_spelling().get(normalised(without_version(bare)))


def game_name(rom: str) -> str:
    """Return the display name of a ROM, in gymnasium's spelling: `ms_pacman` -> `MsPacman`."""
    return rom.title().replace("_", "")


def game_id(rom: str) -> str:
    """Return the gymnasium id of a ROM: `ms_pacman` -> `ALE/MsPacman-v5`."""
    return f"ALE/{game_name(rom)}-v5"
