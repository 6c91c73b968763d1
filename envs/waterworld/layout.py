"""The two variants of Waterworld as numbers: places in pixels, angles in radians, times in ticks."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

from ..errors import WorldError, did_you_mean, one_of

Segment = tuple[float, float, float, float]  # x1, y1, x2, y2

DEFAULT = "rldemo"  # the variant

MARGIN = 20.0  # between the edge and where items appear
RADIUS = 10.0  # of agents and of items
OLD, AGEING_PERIOD, AGEING_CHANCE = 5_000, 100, 0.1
SPAWN_PERIOD, SPAWN_CHANCE = 10, 0.25


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a variant is made of, apart from how its agent moves and what it is rewarded for."""

    variant: str
    description: str
    walls: tuple[Segment, ...]
    start: tuple[float, float]
    actions: tuple[str, ...]
    eyes: int
    first_eye: float  # where they begin, from the heading
    eye_spacing: float
    reach: float  # of an eye
    items: int  # at the start, and at most
    item_speed: float  # at most, in each direction
    apple: float  # reward
    poison: float
    turns: bool  # whether the agent has a heading; otherwise it has a velocity
    width: float = 700.0
    height: float = 500.0

    @property
    def name(self) -> str:
        """What `make` accepts."""
        return "Waterworld" if self.variant == DEFAULT else f"Waterworld-{self.variant}"

    @property
    def speed(self) -> float:
        """The most that an agent with a velocity reaches in each direction, px a tick."""
        return DRAG / (1 - DRAG)

    @property
    def eye_width(self) -> int:
        """How many numbers of an observation are an eye's: three distances, and the velocity of an item that moves."""
        return 3 if self.turns else 5

    @property
    def eye_angles(self) -> tuple[float, ...]:
        """Where each eye looks, from the heading."""
        return tuple(self.first_eye + eye * self.eye_spacing for eye in range(self.eyes))


def _box(left: float, top: float, width: float, height: float) -> tuple[Segment, ...]:
    """Return the four sides: top, right, bottom, left."""
    right, bottom = left + width, top + height
    return (
        (left, top, right, top),
        (right, top, right, bottom),
        (right, bottom, left, bottom),
        (left, bottom, left, top),
    )


RLDEMO = Layout(
    variant="rldemo",
    description="hunt apples and avoid poison among walls, with nine eyes",
    walls=(*_box(10, 10, 680, 480), *_box(100, 100, 200, 300)[:3], *_box(400, 100, 200, 300)[:3]),
    start=(50.0, 50.0),
    actions=("FORWARD", "VEER LEFT", "VEER RIGHT", "SPIN RIGHT", "SPIN LEFT"),
    eyes=9,
    first_eye=-0.75,
    eye_spacing=0.25,
    reach=85.0,
    items=30,
    item_speed=0.0,
    apple=5.0,
    poison=-6.0,
    turns=True,
)

REINFORCEJS = Layout(
    variant="reinforcejs",
    description="drift among moving apples and poison, with thirty eyes",
    walls=_box(0, 0, 700, 500),
    start=(300.0, 300.0),
    actions=("LEFT", "RIGHT", "UP", "DOWN"),
    eyes=30,
    first_eye=0.0,
    eye_spacing=0.21,
    reach=120.0,
    items=50,
    item_speed=2.5,
    apple=1.0,
    poison=-1.0,
    turns=False,
)

WHEELS = ((1.0, 1.0), (0.8, 1.0), (1.0, 0.8), (0.5, 0.0), (0.0, 0.5))  # turns of both wheels, for RLDEMO's actions
THRUSTS = ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))  # for REINFORCEJS' actions
DRAG = 0.95  # what is left of a velocity after a tick
TURN = 2 * pi

LAYOUTS = {layout.variant: layout for layout in (RLDEMO, REINFORCEJS)}


def layout_of(variant: str) -> Layout:
    """Return the layout called `variant`, or raise WorldError with the known names."""
    if variant not in LAYOUTS:
        names = {name: name for name in LAYOUTS}
        otherwise = f"; it is {one_of(names)}."
        raise WorldError(f"unknown variant {variant!r} of Waterworld" + did_you_mean(variant, names, otherwise))
    return LAYOUTS[variant]
