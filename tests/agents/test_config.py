import json
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise
from typing import Any

import pytest

from rlrun.agents.config import Config, ConfigError, difference, nearest


def test_epsilon_goes_in_a_line_from_its_first_value_to_its_last_and_stays() -> None:
    config = Config(epsilon_start=0.9, epsilon_end=0.1, epsilon_steps=1000)
    assert config.epsilon(0) == pytest.approx(0.9)
    assert config.epsilon(250) == pytest.approx(0.7)
    assert config.epsilon(1000) == pytest.approx(0.1)
    assert config.epsilon(1_000_000) == pytest.approx(0.1)


def test_an_epsilon_that_ends_at_zero_is_zero_and_not_nearly_zero() -> None:
    config = Config(epsilon_start=0.7, epsilon_end=0.0, epsilon_steps=3)
    assert config.epsilon(3) == 0.0


def test_the_importance_exponent_goes_from_its_first_value_to_its_last() -> None:
    config = Config(priority_exponent=0.5, importance_start=0.4, importance_end=1.0, anneal_steps=600)
    assert config.importance_exponent(0) == pytest.approx(0.4)
    assert config.importance_exponent(200) == pytest.approx(0.6)
    assert config.importance_exponent(600) == pytest.approx(1.0)
    assert config.importance_exponent(10**9) == pytest.approx(1.0)


def test_without_priorities_there_is_nothing_to_correct() -> None:
    config = Config(priority_exponent=0.0, importance_start=0.4, importance_end=1.0)
    assert config.importance_exponent(0) == 0.0
    assert config.importance_exponent(config.anneal_steps) == 0.0


def test_a_new_learning_rate_takes_its_end_along_unless_that_is_given_too() -> None:
    falling = Config(learning_rate=1e-3, learning_rate_end=1e-4)
    assert falling.with_settings({"learning_rate": "3e-3"}).learning_rate_end == 3e-4
    assert falling.with_settings({"learning_rate": 3e-3, "learning_rate_end": 5e-5}).learning_rate_end == 5e-5
    assert falling.with_settings({"learning_rate_end": 5e-5}).learning_rate == 1e-3
    assert Config().with_settings({"learning_rate": 1e-3}).learning_rate_at(10**9) == 1e-3  # a constant one stays so
    assert falling.with_settings(falling.as_dict()) == falling


def test_the_learning_rate_goes_from_its_first_value_to_its_last() -> None:
    config = Config(learning_rate=1e-3, learning_rate_end=1e-4, anneal_steps=900)
    assert config.learning_rate_at(0) == pytest.approx(1e-3)
    assert config.learning_rate_at(300) == pytest.approx(7e-4)
    assert config.learning_rate_at(900) == pytest.approx(1e-4)
    assert config.learning_rate_at(901) == pytest.approx(1e-4)


@pytest.mark.parametrize("period", [1, 7, 125, 2_500])
def test_the_target_is_copied_first_of_all_and_then_once_a_period(period: int) -> None:
    config = Config(target_period_updates=period)
    assert [u for u in range(4 * period) if config.copies_target(u)] == [0, period, 2 * period, 3 * period]


@pytest.mark.parametrize(("first", "last"), [(50, 250), (250, 50)])
def test_the_targets_period_goes_from_its_first_value_to_its_last_and_stays(first: int, last: int) -> None:
    config = Config(target_period_updates=last, target_period_first=first, target_growth_updates=6_000)
    copies = [u for u in range(10_000) if config.copies_target(u)]
    periods = [after - before for before, after in pairwise(copies)]
    assert copies[0] == 0
    assert abs(periods[0] - first) <= 5
    for copy, period in zip(copies, periods, strict=False):
        middle = first + (last - first) * min(copy + period / 2, 6_000) / 6_000
        assert abs(period - middle) <= 2, copy
    assert periods[-3:] == [last] * 3


@pytest.mark.parametrize(
    ("key", "value", "parsed"),
    [
        ("batch_size", 64, 64),
        ("batch_size", 64.0, 64),
        ("batch_size", "64", 64),
        ("batch_size", "1e3", 1000),
        ("batch_size", "1_000", 1000),
        ("learning_rate", 0.5, 0.5),
        ("learning_rate", 1, 1.0),
        ("learning_rate", "1e-4", 1e-4),
        ("value_min", "-3.5", -3.5),
        ("dueling", True, True),
        ("dueling", "true", True),
        ("dueling", "True", True),
        ("dueling", "1", True),
        ("double", "false", False),
        ("double", 0, False),
        ("body", "impala", "impala"),
        ("optimizer", "rmsprop", "rmsprop"),
        ("hidden", "512,256", (512, 256)),
        ("hidden", "(512, 256)", (512, 256)),
        ("hidden", "[512]", (512,)),
        ("hidden", "512,", (512,)),
        ("knots", "0,.5,1e1", (0.0, 0.5, 10.0)),
        ("knots", [0, 0.25], (0.0, 0.25)),
        ("knots", "", ()),
        ("hidden", "", ()),
        ("hidden", "()", ()),
        ("hidden", [3, 2], (3, 2)),
        ("hidden", (), ()),
    ],
)
def test_a_setting_is_understood_as_typed_and_as_a_user_writes_it(key: str, value: Any, parsed: Any) -> None:
    changed = getattr(Config().with_settings({key: value}), key)
    assert changed == parsed
    assert type(changed) is type(parsed)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("batch_size", "3.5", "a whole number"),
        ("batch_size", 3.5, "a whole number"),
        ("batch_size", "many", "a whole number"),
        ("batch_size", "nan", "a whole number"),
        ("batch_size", "inf", "a whole number"),
        ("batch_size", True, "a whole number"),
        ("batch_size", None, "a whole number"),
        ("learning_rate", "fast", "a number"),
        ("learning_rate", True, "a number"),
        ("learning_rate", None, "a number"),
        ("learning_rate", [1.0], "a number"),
        ("dueling", "maybe", "true or false"),
        ("dueling", 2, "true or false"),
        ("body", "nurture", "one of nature, mlp, impala"),
        ("body", 3, "one of nature, mlp, impala"),
        ("hidden", "512,x", "whole numbers"),
        ("hidden", 512, "whole numbers"),
        ("hidden", [1.5], "whole numbers"),
        ("hidden", [True], "whole numbers"),
        ("knots", "0,x", "numbers, as 0,0.5,1"),
        ("knots", [0.0, True], "numbers, as 0,0.5,1"),
        ("knots", 1.0, "numbers, as 0,0.5,1"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_the_right_kind(key: str, value: Any, wanted: str) -> None:
    with pytest.raises(ConfigError, match=wanted) as caught:
        Config().with_settings({key: value})
    assert str(caught.value).startswith(f"{key} = {value!r} is not possible: it must be ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_size", 0),
        ("n_step", 0),
        ("num_envs", 0),
        ("target_period_updates", 0),
        ("target_period_first", -1),
        ("target_growth_updates", 0),
        ("replay_capacity", 0),
        ("checkpoint_steps", 0),
        ("anneal_steps", 0),
        ("epsilon_steps", 0),
        ("steps_per_update", 0.0),
        ("learning_rate", 0.0),
        ("learning_rate", float("inf")),
        ("learning_rate", float("nan")),
        ("optimizer_eps", 0.0),
        ("width", -1.0),
        ("noisy_sigma", 0.0),
        ("munchausen", 1.1),
        ("gap_increase", 1.0),
        ("gap_increase", -0.1),
        ("members", 0),
        ("penalty_scale", 0.0),
        ("temperature", 0.0),
        ("log_policy_floor", 0.1),
        ("reward_clip", -1.0),
        ("max_grad_norm", -1.0),
        ("learning_starts", -1),
        ("learning_rate_end", -1e-9),
        ("discount", 1.01),
        ("epsilon_start", -0.1),
        ("epsilon_end", 1.1),
        ("evaluation_epsilon", 2.0),
        ("priority_exponent", 1.5),
        ("importance_start", -0.1),
        ("importance_end", 1.1),
        ("hidden", (512, 0)),
        ("mlp_hidden", (0,)),
        ("watkins_tolerance", -0.1),
        ("knots", (1.0,)),
        ("knots", (0.0, 1.0, 1.0)),
        ("knots", (0.0, float("inf"))),
        ("atoms", 1),
        ("value_min", 10.0),
        ("value_min", float("-inf")),
        ("value_max", float("nan")),
        ("learning_starts", 1_000_000),
    ],
)
def test_an_impossible_value_is_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Config().with_settings({key: value})
    assert str(caught.value).startswith(f"{key} = {value} is not possible: it must be ")
    with pytest.raises(ConfigError):
        replace(Config(), **{key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("discount", 1.0), ("discount", 0.0), ("epsilon_end", 0.0), ("max_grad_norm", 0.0), ("learning_starts", 0)],
)
def test_a_value_at_the_edge_of_the_possible_is_taken(key: str, value: float) -> None:
    assert getattr(Config().with_settings({key: value}), key) == value


def test_munchausen_is_refused_with_a_categorical_head() -> None:
    with pytest.raises(ConfigError, match=r"munchausen = 0\.9 is not possible: it must be 0 with .*categorical"):
        Config().with_settings({"munchausen": 0.9, "distribution": "categorical"})


def test_munchausen_is_refused_where_gaps_are_widened_already() -> None:
    with pytest.raises(ConfigError, match=r"gap_increase = 0\.5 is not possible: it must be 0 with munchausen"):
        Config().with_settings({"munchausen": 0.9, "gap_increase": 0.5})


def test_an_initial_value_is_refused_with_a_categorical_head() -> None:
    with pytest.raises(ConfigError, match=r"initial_value = 22\.0 is not possible: it must be 0 with .*categorical"):
        Config().with_settings({"initial_value": 22, "distribution": "categorical"})


def test_learning_that_could_never_start_is_refused() -> None:
    with pytest.raises(ConfigError, match="learning would never start"):
        Config(learning_starts=5000, replay_capacity=5000)
    assert Config(learning_starts=4999, replay_capacity=5000).learning_starts == 4999


def test_an_unknown_setting_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting 'learning_rat'; did you mean .*learning_rate"):
        Config().with_settings({"learning_rat": 1})


def test_a_setting_unlike_any_other_is_answered_with_all_names() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting 'zzz'; known are anneal_steps, .*, width"):
        Config().with_settings({"zzz": 1})


def test_the_nearest_names_read_as_a_sentence() -> None:
    assert nearest("aaab", ["aaaa"]) == "; did you mean aaaa?"
    assert nearest("aaab", ["aaac", "xyz", "aaab2"]) == "; did you mean aaab2 or aaac?"
    three = nearest("aaab", ["aaac", "aaad", "aaab2"])
    assert three.startswith("; did you mean aaab2, aaa")
    assert three.count(" or ") == 1


def test_settings_make_a_new_config_and_leave_the_old_one() -> None:
    config = Config()
    changed = config.with_settings({"batch_size": 7, "hidden": "3"})
    assert (changed.batch_size, changed.hidden) == (7, (3,))
    assert config == Config()
    with pytest.raises(FrozenInstanceError):
        config.batch_size = 3


def test_a_config_survives_json() -> None:
    config = Config(hidden=(5, 4), mlp_hidden=(), knots=(0.0, 0.1), double=True, body="mlp", learning_rate=1 / 3)
    read = json.loads(json.dumps(config.as_dict()))
    assert Config().with_settings(read) == config


def test_the_difference_names_what_differs_parent_first() -> None:
    parent = Config()
    child = replace(parent, n_step=3, hidden=(2,))
    assert difference(child, parent) == {"n_step": (1, 3), "hidden": ((512,), (2,))}
    assert difference(parent, child) == {"n_step": (3, 1), "hidden": ((2,), (512,))}
    assert difference(child, child) == {}
