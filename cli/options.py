"""What the options of `rlrun train` mean: counts, budgets, devices, settings and files of settings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click

from .errors import CommandError

if TYPE_CHECKING:  # as the options are listed without it
    from ..envs.catalogue import Found


class Count(click.ParamType[int]):
    """A positive whole number that may end in k, M or G."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return 10_000_000 for 10M."""
        if isinstance(value, int):
            return value
        text = str(value).replace("_", "").replace(",", "")
        factor = {"k": 1e3, "m": 1e6, "g": 1e9}.get(text[-1:].lower(), 1)
        try:
            number = float(text[:-1] if factor > 1 else text) * factor
        except ValueError:
            number = float("nan")
        if not 1 <= number < 1e15 or number != int(number):
            self.fail(f"{value} is not possible: it must be a positive whole number, as 500000 or 10M", param, ctx)
        return int(number)


def budget_settings(steps: int | None, frames: int | None, minutes: float | None) -> dict[str, Any]:
    """Return what was given as the settings' budget; an empty dict for nothing."""
    if steps and frames:
        raise CommandError("--steps and --frames are the same budget: give one of them")
    if minutes is not None and not 0 < minutes < float("inf"):
        raise CommandError(f"--minutes {minutes:g} is not possible: it must be above 0")
    if not (steps or frames or minutes):
        return {}
    return {"steps": steps or (frames // 4 if frames else 0), "minutes": minutes or 0.0}


class Usual(NamedTuple):
    """What is done where a person has not said otherwise."""

    preset: str
    episodes: int  # of an evaluation


# Episodes of Waterworld are 10,000 steps long: ten of them are as many as several hundred elsewhere.
USUAL = {  # by a world's id or its kind
    "atari": Usual("fast", 100),
    "Waterworld": Usual("waterworld", 10),
    "Waterworld-reinforcejs": Usual("waterworld-reinforcejs", 10),
}


def usual(found: Found) -> Usual:
    """Return what is usual for a world that the catalogue has found."""
    return USUAL.get(found.id) or USUAL.get(found.kind, Usual("control", 100))


def computing_device(device: str | None) -> str:
    """Return the device to compute on; raise CommandError if it is not there."""
    if device in (None, "cpu") and (device == "cpu" or not Path("/proc/driver/nvidia").exists()):
        return "cpu"
    import torch

    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.split(":")[0] != "cuda":
        raise CommandError(f"unknown device {device!r}: it is cpu or cuda")
    if not torch.cuda.is_available():
        raise CommandError("there is no CUDA GPU that torch can use here: leave out --device, or use --device cpu", 3)
    return device


def split_settings(sets: tuple[str, ...]) -> dict[str, str]:
    """Return --set's KEY=VALUE pairs."""
    pairs = {}
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"--set {text} is no KEY=VALUE, as --set learning_rate=1e-4")
        pairs[key.strip()] = value.strip()
    return pairs


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file: its [config] table, or the whole of it."""
    try:
        document = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise CommandError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CommandError(f"{path} is no TOML file that can be read: {error}") from None
    document.pop("run", None)
    return dict(document.get("config", document))
