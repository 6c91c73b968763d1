"""Config: every number that defines an agent and its training, and the presets, each a diff of its parent."""

from __future__ import annotations

import difflib
import math
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin, get_type_hints


class ConfigError(ValueError):
    """A setting that does not exist or cannot be: one sentence that says what would be right."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """One agent's settings; a "step" is one agent step in one world, 4 frames on Atari."""

    # The network
    body: Literal["nature", "mlp", "impala"] = "nature"  # "mlp" is used for worlds that are no pictures
    width: float = 1.0  # factor on the convolutions' channels
    hidden: tuple[int, ...] = (512,)  # the head's hidden layers, units
    mlp_hidden: tuple[int, ...] = (120, 84)  # the MLP body's layers, units
    knots: tuple[float, ...] = ()  # an MLP sees numbers as hat functions between these; without any as they are
    layer_norm: bool = False  # before every ReLU, of body and head
    dueling: bool = False
    noisy: bool = False
    noisy_sigma: float = 0.5  # initial sigma_0
    distribution: Literal["expectation", "categorical", "quantile", "ensemble"] = "expectation"
    atoms: int = 51  # outputs for each action: probabilities or quantiles
    members: int = 5  # heads that learn apart; ensemble only
    value_min: float = -10.0  # the support's ends, clipped return; categorical only
    value_max: float = 10.0
    initial_value: float = 0.0  # every action's expected return before anything is learned; not categorical
    precision: Literal["float32", "bfloat16"] = "float32"  # of everything but the output layers and the optimiser
    compile: bool = False  # both networks by torch's compiler: faster updates on a GPU, a minute or so later

    window: int = 1  # last observations that the agent sees, each beside the action before it; not for pictures

    # The target
    discount: float = 0.99  # gamma, per step
    n_step: int = 1  # rewards summed before the bootstrap
    watkins_tolerance: float = 0.0  # returns end before actions that are this far behind the best; 0: they go on anyway
    double: bool = False
    target_period_updates: int = 2_000  # updates between copies to the target network ...
    target_period_first: int = 0  # ... and between the first ones; 0 is the same from the start
    target_growth_updates: int = 1  # updates over which the period grows, linearly, from the first to the last
    gap_increase: float = 0.0  # alpha of advantage learning: gaps between actions are learned 1 / (1 - alpha) as wide
    munchausen: float = 0.0  # alpha, the share of tau log pi(a|s) added to the reward; 0 is plain Q-learning
    temperature: float = 0.03  # tau of the softmax policy, in units of return; with munchausen only
    log_policy_floor: float = -1.0  # l_0, the least that tau log pi counts; with munchausen only
    reward_clip: float = 1.0  # rewards are clipped to +-this for learning; 0 leaves them raw
    penalty_scale: float = 1.0  # factor on negative rewards for learning, after clipping: above 1 is averse to loss
    life_loss_terminal: bool = True  # no bootstrap across a lost life; only the nature protocol tells of lives

    # The optimiser
    optimizer: Literal["adam", "rmsprop"] = "adam"
    loss: Literal["huber", "squared"] = "huber"  # of the TD error; expectation and ensemble
    learning_rate: float = 6.25e-5
    learning_rate_end: float = 6.25e-5  # reached linearly at anneal_steps
    optimizer_eps: float = 1.5e-4
    max_grad_norm: float = 0.0  # global norm; 0 does not clip

    # Replay
    batch_size: int = 32  # transitions
    steps_per_update: float = 4.0  # steps for each update
    learning_starts: int = 20_000  # steps
    replay_capacity: int = 1_000_000  # steps
    priority_exponent: float = 0.0  # alpha; 0 samples uniformly
    importance_start: float = 0.4  # beta at the first step ...
    importance_end: float = 1.0  # ... and at anneal_steps
    anneal_steps: int = 10_000_000  # steps over which beta and the learning rate move
    relabel_share: float = 0.0  # of transitions shown as the world's counterpart would have; Waterworld has one

    # Exploration
    num_envs: int = 8
    epsilon_start: float = 1.0
    epsilon_end: float = 0.01
    epsilon_steps: int = 250_000  # steps from the first value to the last
    exploration_exponent: float = 0.0  # while epsilon falls, random actions last n steps by n^-exponent; 0: one step
    evaluation_epsilon: float = 0.001

    # The run
    checkpoint_steps: int = 100_000  # steps

    def __post_init__(self) -> None:
        """Check every value; raise ConfigError with one sentence."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float):
                _require(math.isfinite(value), field.name, value, "a finite number")
        for name in (
            "batch_size",
            "n_step",
            "window",
            "members",
            "num_envs",
            "target_period_updates",
            "replay_capacity",
            "checkpoint_steps",
            "anneal_steps",
            "epsilon_steps",
            "target_growth_updates",
        ):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in (
            "steps_per_update",
            "learning_rate",
            "optimizer_eps",
            "width",
            "noisy_sigma",
            "temperature",
            "penalty_scale",
        ):
            _require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        for name in (
            "reward_clip",
            "max_grad_norm",
            "learning_starts",
            "learning_rate_end",
            "target_period_first",
            "exploration_exponent",
            "watkins_tolerance",
        ):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name in (
            "discount",
            "epsilon_start",
            "epsilon_end",
            "evaluation_epsilon",
            "priority_exponent",
            "importance_start",
            "importance_end",
            "munchausen",
            "relabel_share",
        ):
            _require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "between 0 and 1")
        for name in ("hidden", "mlp_hidden"):
            widths = getattr(self, name)
            _require(all(units >= 1 for units in widths), name, widths, "positive widths")
        rising = all(math.isfinite(knot) for knot in self.knots) and all(a < b for a, b in pairwise(self.knots))
        _require(rising and len(self.knots) != 1, "knots", self.knots, "none, or two numbers or more that rise")
        _require(0 <= self.gap_increase < 1, "gap_increase", self.gap_increase, "0 or more and below 1")
        _require(
            not (self.gap_increase and self.munchausen),
            "gap_increase",
            self.gap_increase,
            "0 with munchausen, which widens the gaps by itself",
        )
        _require(
            not (self.relabel_share and self.reward_clip),
            "relabel_share",
            self.relabel_share,
            "0 with reward_clip above 0: clipped rewards do not tell what happened",
        )
        _require(self.log_policy_floor <= 0, "log_policy_floor", self.log_policy_floor, "0 or less")
        _require(self.atoms >= 2, "atoms", self.atoms, "at least 2")
        _require(
            not (self.munchausen and self.distribution == "categorical"),
            "munchausen",
            self.munchausen,
            "0 with distribution = categorical: its support has no room for the policy's entropy",
        )
        _require(
            not (self.initial_value and self.distribution == "categorical"),
            "initial_value",
            self.initial_value,
            "0 with distribution = categorical: probabilities have no value to start from",
        )
        _require(self.value_min < self.value_max, "value_min", self.value_min, f"below value_max = {self.value_max}")
        _require(
            self.learning_starts < self.replay_capacity,
            "learning_starts",
            self.learning_starts,
            f"below replay_capacity = {self.replay_capacity}: learning would never start",
        )

    def epsilon(self, step: int) -> float:
        """Return epsilon at `step`: linear from start to end, constant after."""
        return _linear(step, self.epsilon_steps, self.epsilon_start, self.epsilon_end)

    def copies_target(self, update: int) -> bool:
        """Return whether the target network is copied before update number `update`, counted from 0."""
        return update == 0 or int(self._copies(update)) > int(self._copies(update - 1))

    def _copies(self, update: int) -> float:
        """Return how many periods have passed at `update`: the integral of one over the period."""
        last, growth = self.target_period_updates, self.target_growth_updates
        first = self.target_period_first or last
        if first == last:
            return update / last
        grown = min(update, growth)
        period = first + (last - first) * grown / growth
        return growth / (last - first) * math.log(period / first) + (update - grown) / last

    def importance_exponent(self, step: int) -> float:
        """Return beta at `step`; 0 without priorities, where all weights are 1."""
        if self.priority_exponent == 0.0:
            return 0.0
        return _linear(step, self.anneal_steps, self.importance_start, self.importance_end)

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate at `step`."""
        return _linear(step, self.anneal_steps, self.learning_rate, self.learning_rate_end)

    def with_settings(self, settings: dict[str, Any]) -> Config:
        """Return this config with `settings` changed: values as typed, or strings as a user writes them.

        A new learning_rate takes learning_rate_end along, in the same proportion, unless that is given too.

        Raises:
            ConfigError: an unknown key (with the nearest names) or a value of the wrong kind.

        """
        hints = get_type_hints(Config)
        parsed = {}
        for key, value in settings.items():
            if key not in hints:
                raise ConfigError(f"unknown setting {key!r}{nearest(key, hints)}")
            parsed[key] = _parse(key, value, hints[key])
        changed = replace(self, **parsed)
        if "learning_rate" in parsed and "learning_rate_end" not in parsed:
            share = self.learning_rate_end / self.learning_rate
            changed = replace(changed, learning_rate_end=float(f"{changed.learning_rate * share:.6g}"))
        return changed

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as plain values, tuples as lists: what TOML and JSON can hold."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def difference(config: Config, parent: Config) -> dict[str, tuple[Any, Any]]:
    """Return the fields in which two configs differ: name -> (parent's value, config's value)."""
    pairs = {f.name: (getattr(parent, f.name), getattr(config, f.name)) for f in fields(Config)}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def nearest(name: str, known: Any, count: int = 3) -> str:
    """Return '; did you mean a, b or c?' from the names nearest to `name`, or the whole list when none is near."""
    close = difflib.get_close_matches(name, list(known), count, cutoff=0.4)
    if not close:
        return f"; known are {', '.join(sorted(known))}"
    return f"; did you mean {' or '.join([', '.join(close[:-1]), close[-1]] if len(close) > 1 else close)}?"


def _linear(step: int, steps: int, start: float, end: float) -> float:
    return start + (end - start) * min(max(step, 0) / steps, 1.0)


def _require(condition: bool, name: str, value: Any, right: str) -> None:
    if not condition:
        raise ConfigError(f"{name} = {value} is not possible: it must be {right}")


def _parse(key: str, value: Any, kind: Any) -> Any:
    """Return `value` as the field `key` of type `kind` holds it."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ConfigError(f"{key} = {value!r} is not possible: it must be one of {', '.join(get_args(kind))}")
        return value
    try:
        if kind is bool:
            return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]
        if kind is int:
            return _whole(value)
        if kind is float:
            return _number(value)
        parts = value.strip("()[]").split(",") if isinstance(value, str) else value
        one = _whole if kind == tuple[int, ...] else _number
        return tuple(one(part) for part in parts if str(part).strip())
    except (KeyError, ValueError, TypeError, OverflowError):
        right = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            tuple[int, ...]: "whole numbers, as 512,512",
            tuple[float, ...]: "numbers, as 0,0.5,1",
        }[kind]
        raise ConfigError(f"{key} = {value!r} is not possible: it must be {right}") from None


def _number(value: Any) -> float:
    """Return `value` as a float; raise ValueError or TypeError if it is none, as true and false are none."""
    if isinstance(value, bool):
        raise TypeError
    return float(value)


def _whole(value: Any) -> int:
    """Return `value` as an int, 1e6 and 1_000 included; raise ValueError or OverflowError if it is none."""
    number = float(str(value).replace("_", ""))
    if number != int(number):
        raise ValueError
    return int(number)
