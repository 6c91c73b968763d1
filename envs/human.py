"""Scores of other players: random and human play of the 57 Atari games, and what published agents reached."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

from .atari_names import normalised, without_version


def human_normalised(game: str, score: float) -> float | None:
    """Return (score - random) / (human - random), 0 for random and 1 for human play, or None for other games.

    game: any spelling. score: raw and unclipped, a mean over episodes.
    """
    found = _table().get(_key(game))
    if found is None:
        return None
    return (score - found["random"]) / (found["human"] - found["random"])


def reference_scores(game: str) -> dict[str, float]:
    """Return raw scores to stand beside one's own, empty for a game outside the 57.

    Keys, where known: random and human (the usual table of 57 games), dqn (Mnih et al. 2015), rainbow
    (Hessel et al. 2018). The agents played 200M frames without sticky actions from no-op starts: the nature protocol.
    """
    return dict(_table().get(_key(game), {}))


def _key(game: str) -> str:
    name = game.strip()
    return normalised(without_version(name[4:] if name[:4].lower() == "ale/" else name))


@cache
def _table() -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = {}
    for file in ("human_scores.csv", "published_scores.csv"):
        with (files(__package__) / file).open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                known = {key: float(row[key]) for key in row if key not in ("game", "source") and row[key]}
                scores.setdefault(normalised(row["game"]), {}).update(known)
    return scores
