"""Protocols: the two ways of playing Atari that published scores follow, and that are never mixed."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from .errors import WorldError, did_you_mean, one_of


class Protocol(NamedTuple):
    """What differs between the protocols inside the emulator; the rest is the learner's business."""

    repeat_action_probability: float  # at every emulator frame the last action may stick
    noop_max: int  # ale-py then draws 0 .. noop_max - 1 no-op frames after a reset


# machado: Machado et al. 2018, sticky actions and no no-ops. nature: Mnih et al. 2015, 0 to 29 no-ops.
PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({"machado": Protocol(0.25, 0), "nature": Protocol(0.0, 30)})


def protocol_named(name: str) -> Protocol:
    """Return the protocol of this name, or raise WorldError with the nearest names."""
    if name not in PROTOCOLS:
        names = {known: known for known in PROTOCOLS}
        raise WorldError(
            f"unknown protocol {name!r}" + did_you_mean(str(name).lower(), names, f": use {one_of(PROTOCOLS)}.")
        )
    return PROTOCOLS[name]
