"""WorldError: everything a person can get wrong about an environment, said in one sentence."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class WorldError(ValueError):
    """An environment that cannot be made, driven or restored; the message is one sentence for a person."""


class UnknownWorld(WorldError):
    """A name that no environment answers to; the message offers the nearest names."""


def nearest(wanted: str, names: Mapping[str, str], count: int = 3) -> list[str]:
    """Return up to `count` display names whose normalised spelling is nearest to `wanted`, best first.

    names: normalised spelling -> display name. wanted: already normalised.
    """
    close = get_close_matches(wanted, list(names), n=2 * count, cutoff=0.3)
    # Two spellings may share a display name, so more are asked for than shown.
    return list(dict.fromkeys(names[key] for key in close))[:count]


def one_of(names: Iterable[str], word: str = "or") -> str:
    """Return the names as a spoken choice: `a`, `a or b`, `a, b or c`; or with another `word` before the last."""
    listed = list(names)
    if len(listed) < 2:
        return "".join(listed)
    return f"{', '.join(listed[:-1])} {word} {listed[-1]}"


def did_you_mean(wanted: str, names: Mapping[str, str], otherwise: str) -> str:
    """Return the end of an error sentence: `; did you mean a, b or c?`, or `otherwise` if nothing is near."""
    close = nearest(wanted, names)
    return f"; did you mean {one_of(close)}?" if close else otherwise
