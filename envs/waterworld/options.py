"""What a reset of Waterworld may be told, and what a step: checked, each error one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import WorldError, did_you_mean


def state_in(options: Mapping[str, Any] | None) -> Any:
    """Return the state that a reset's options hold, or None; raise WorldError for an option that does not exist."""
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise WorldError(f"options must be a dict, as {{'state': ...}}, not {type(options).__name__}.")
    for key in options:
        if key != "state":
            otherwise = "; the only one is 'state'."
            raise WorldError(f"unknown option {key!r}" + did_you_mean(str(key), {"state": "'state'"}, otherwise))
    return options.get("state")
