from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.replay import Batch, Replay
from rlrun.agents.train import Episode, Progress, train
from rlrun.agents.turns import train_in_turns


class Guess:
    """N worlds that show one of `states` states, one-hot, and reward the action of the same number.

    World i ends after lengths[i % len(lengths)] steps, in the way that `end` says, and resets on the step after.
    """

    def __init__(
        self,
        num_envs: int = 4,
        states: int = 3,
        lengths: tuple[int, ...] = (5,),
        end: str = "terminated",
        *,
        prize: float = 1.0,
        lives: bool = False,
        seed: int = 0,
    ) -> None:
        self.num_envs, self.states, self.end, self.prize, self.lives = num_envs, states, end, prize, lives
        self.lengths = np.array([lengths[i % len(lengths)] for i in range(num_envs)])
        self.rng = np.random.default_rng(seed)
        self.age = np.zeros(num_envs, np.int64)
        self.ended = np.zeros(num_envs, bool)
        self.sent: list[NDArray[Any]] = []  # the actions of each step
        self.resets: list[NDArray[Any]] = []  # which worlds reset on each step
        self.waiting = False

    def show(self) -> NDArray[Any]:
        self.state = self.rng.integers(self.states, size=self.num_envs)
        return np.eye(self.states, dtype=np.float32)[self.state]

    def reset(self) -> tuple[NDArray[Any], dict[str, Any]]:
        self.age[:] = 0
        self.ended[:] = False
        return self.show(), {}

    def send(self, actions: NDArray[np.int64]) -> None:
        assert not self.waiting
        assert actions.shape == (self.num_envs,)
        assert actions.dtype == np.int64
        self.waiting = True
        self.sent.append(actions.copy())

    def recv(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        assert self.waiting
        self.waiting = False
        reset = self.ended
        reward = self.prize * (self.sent[-1] == self.state).astype(np.float32)
        reward[reset] = 99  # a trap: no score and no return may contain it
        self.age = np.where(reset, 0, self.age + 1)
        self.ended = (self.age == self.lengths) & ~reset
        none = np.zeros(self.num_envs, bool)
        lost = (self.age == 2) & ~reset & self.lives
        self.resets.append(reset)
        info = {"reset": reset, "life_lost": lost}
        terminated, truncated = (self.ended, none) if self.end == "terminated" else (none, self.ended)
        return self.show(), reward, terminated, truncated, info


def config(**settings: Any) -> Config:
    """Return small settings that learn at once."""
    base = Config(
        body="mlp",
        mlp_hidden=(16,),
        hidden=(),
        num_envs=4,
        batch_size=16,
        steps_per_update=4.0,
        learning_starts=0,
        replay_capacity=2000,
        learning_rate=1e-2,
        learning_rate_end=1e-2,
        optimizer_eps=1e-5,
        target_period_updates=10,
        epsilon_steps=500,
        epsilon_end=0.1,
    )
    return base.with_settings(settings)


class Run:
    """An agent, its replay and its worlds in training, and a list of what happened."""

    def __init__(self, envs: Any, settings: Config, seed: int = 0) -> None:
        self.envs, self.config = envs, settings
        self.agent = DQN(settings, (envs.states,), envs.states, seed=seed)
        self.replay = Replay(
            settings.replay_capacity,
            envs.num_envs,
            (envs.states,),
            obs_dtype=torch.float32,
            n_step=settings.n_step,
            discount=settings.discount,
            priority_exponent=settings.priority_exponent,
            seed=seed,
        )
        self.progress = Progress.begin(envs.reset()[0])
        self.steps = [0]  # after each yield, the first before any
        self.updates = [0]
        self.episodes: list[Episode] = []
        self.loop = train(self.agent, envs, self.replay, settings, self.progress)

    def go(self, vector_steps: int) -> "Run":
        for progress in islice(self.loop, vector_steps):
            assert progress is self.progress
            self.steps.append(progress.step)
            self.updates.append(progress.updates)
            self.episodes += progress.finished
        return self

    def everything(self) -> Batch:
        """Return each transition in the replay once, in order; alpha must be 0."""
        batch = self.replay.sample(int(self.replay.startable.sum()))
        order = batch.index.argsort()
        return Batch(*(column[order] for column in batch))


def values(agent: DQN, states: int) -> Tensor:
    q: Tensor = agent.q_values(torch.eye(states))
    return q


class Resident(Guess):
    """The same worlds on the learner's device: tensors are shown and sent."""

    def reset(self) -> Any:
        obs, info = super().reset()
        return torch.from_numpy(obs), info

    def send(self, actions: Any) -> None:
        assert isinstance(actions, Tensor)
        super().send(actions.numpy())

    def recv(self) -> Any:
        obs, *rest = super().recv()
        return torch.from_numpy(obs), *rest


# What is learned


def test_worlds_that_show_tensors_are_sent_tensors_and_teach_the_same() -> None:
    arrays, tensors = (Run(kind(lengths=(5, 7)), config()).go(60) for kind in (Guess, Resident))
    assert arrays.updates == tensors.updates
    assert arrays.updates[-1] > 40
    for ours, theirs in zip(arrays.agent.online.parameters(), tensors.agent.online.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"double": True, "dueling": True, "n_step": 3, "priority_exponent": 0.5},
        {"distribution": "categorical", "value_min": 0.0, "value_max": 3.0},
        {"noisy": True, "epsilon_start": 0.0, "epsilon_end": 0.0, "hidden": "16"},
        {"precision": "bfloat16"},
        {"optimizer": "rmsprop", "learning_rate": 2e-3, "learning_rate_end": 2e-3, "loss": "squared"},
    ],
    ids=["dqn", "double-dueling-prioritised", "categorical", "noisy", "bfloat16", "rmsprop"],
)
def test_a_world_that_asks_for_the_state_it_shows_is_solved(variant: dict[str, Any]) -> None:
    run = Run(Guess(), config(discount=0.5, **variant)).go(450)
    run.agent.silence()
    assert run.agent.act_silently(torch.eye(3), 0.0).tolist() == [0, 1, 2]
    late = [episode.score for episode in run.episodes[-40:]]
    assert np.mean(late) > 3.5  # of 5, with the exploration that is left


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize(("end", "value"), [("terminated", 1.0), ("truncated", 2.0)])
def test_what_an_end_is_worth_depends_on_whether_it_was_a_terminal_or_a_cut(
    n_step: int, end: str, value: float
) -> None:
    # One state and one action, reward 1, episodes of one step: 1 in all, or 1 + 1/2 + 1/4 + ... = 2.
    run = Run(Guess(states=1, lengths=(1,), end=end), config(discount=0.5, n_step=n_step)).go(300)
    assert values(run.agent, 1).tolist() == [[pytest.approx(value, abs=0.05)]]


def test_a_reward_is_learned_from_across_steps() -> None:
    run = Run(Guess(states=1, lengths=(1000,)), config(discount=0.5, n_step=2)).go(250)
    assert values(run.agent, 1).tolist() == [[pytest.approx(2.0, abs=0.05)]]


# Determinism


def outcome(seed: int, world_seed: int = 0) -> tuple[list[Tensor], NDArray[Any]]:
    variant = {"noisy": True, "priority_exponent": 0.5, "n_step": 2, "double": True, "epsilon_end": 0.3}
    run = Run(Guess(seed=world_seed), config(**variant), seed).go(60)
    return list(run.agent.online.state_dict().values()), np.array(run.envs.sent)


def test_the_same_seed_makes_the_same_actions_and_the_same_weights() -> None:
    torch.manual_seed(1)
    first, actions = outcome(3)
    torch.manual_seed(2)  # the run must not depend on anyone else's random numbers
    second, same_actions = outcome(3)
    third, other_actions = outcome(4)
    assert all(map(torch.equal, first, second))
    assert np.array_equal(actions, same_actions)
    assert not all(map(torch.equal, first, third))
    assert not np.array_equal(actions, other_actions)


def test_a_run_interrupted_between_steps_goes_on_as_if_it_had_not_been() -> None:
    whole = Run(Guess(), config()).go(60)
    parts = Run(Guess(), config()).go(25)
    parts.loop.close()
    parts.loop = train(parts.agent, parts.envs, parts.replay, parts.config, parts.progress)
    parts.go(35)
    assert np.array_equal(whole.envs.sent, parts.envs.sent)
    assert parts.progress.updates == whole.progress.updates
    for mine, theirs in zip(whole.agent.online.parameters(), parts.agent.online.parameters(), strict=True):
        assert torch.equal(mine, theirs)


# How much is learned, and when


@pytest.mark.parametrize("num_envs", [1, 64])
@pytest.mark.parametrize("steps_per_update", [0.5, 4.0, 7.0])
def test_the_updates_keep_to_the_replay_ratio_whatever_the_number_of_worlds(
    num_envs: int, steps_per_update: float
) -> None:
    settings = config(num_envs=num_envs, steps_per_update=steps_per_update, learning_starts=130, batch_size=1)
    run = Run(Guess(num_envs), settings).go(260 if num_envs == 1 else 6)
    # What a step of all worlds makes due is done while the next one runs.
    due = [0] + [max(0, int((step - 130) / steps_per_update)) for step in run.steps[:-1]]
    assert run.updates == due
    assert run.updates[-1] > 10


def test_nothing_is_learned_before_learning_starts() -> None:
    run = Run(Guess(), config(learning_starts=100, steps_per_update=4.0))
    first = [weight.clone() for weight in run.agent.online.parameters()]
    while run.progress.step < 100:
        run.go(1)
        assert all(map(torch.equal, first, run.agent.online.parameters()))
    run.go(3)
    assert run.progress.updates > 0
    assert not all(map(torch.equal, first, run.agent.online.parameters()))


@pytest.mark.parametrize("n_step", [1, 4])
def test_an_early_start_waits_for_something_to_sample_and_makes_up_for_it(n_step: int) -> None:
    run = Run(Guess(1, lengths=(50,)), config(num_envs=1, steps_per_update=0.5, n_step=n_step)).go(12)
    assert run.updates[: n_step + 2] == [0] * (n_step + 2)
    assert run.updates[n_step + 2 :] == [2 * step for step in run.steps[n_step + 1 : -1]]


def test_the_target_network_is_copied_every_so_many_updates_and_at_no_other_time() -> None:
    run = Run(Guess(), config(target_period_updates=7, steps_per_update=2.0))
    copies: list[int] = []
    copy, learn = run.agent.copy_to_target, run.agent.learn
    state: dict[str, list[Tensor]] = {}

    def copy_spy() -> None:
        copies.append(run.progress.updates)
        copy()
        state["copied"] = [weight.clone() for weight in run.agent.online.parameters()]

    def learn_spy(batch: Batch) -> Tensor:
        learned: Tensor = learn(batch)
        assert all(map(torch.equal, run.agent.target.parameters(), state["copied"]))
        return learned

    run.agent.copy_to_target = copy_spy  # type: ignore[method-assign,unused-ignore]
    run.agent.learn = learn_spy  # type: ignore[method-assign,unused-ignore]
    run.go(25)
    assert run.progress.updates > 35
    assert copies == list(range(0, run.progress.updates, 7))


# What moves with time


def test_epsilon_beta_and_the_learning_rate_are_those_of_the_step() -> None:
    settings = config(
        priority_exponent=0.5, importance_start=0.2, importance_end=0.9, anneal_steps=150, learning_rate_end=1e-3,
        epsilon_start=0.8, epsilon_end=0.05, epsilon_steps=120,
    )  # fmt: skip
    run = Run(Guess(), settings)
    seen: dict[str, list[tuple[int, float]]] = {"epsilon": [], "beta": [], "rate": []}
    act, sample, rate = run.agent.act, run.replay.sample, run.agent.optimiser.set_learning_rate

    def act_spy(obs: Tensor, epsilon: float) -> Tensor:
        seen["epsilon"].append((run.progress.step, epsilon))
        actions: Tensor = act(obs, epsilon)
        return actions

    def sample_spy(size: int, importance_exponent: float, **others: Any) -> Batch:
        assert size == 16
        seen["beta"].append((run.progress.step, importance_exponent))
        return sample(size, importance_exponent, **others)

    def rate_spy(learning_rate: float) -> None:
        seen["rate"].append((run.progress.step, learning_rate))
        rate(learning_rate)

    run.agent.act = act_spy  # type: ignore[method-assign,unused-ignore]
    run.replay.sample = sample_spy  # type: ignore[method-assign,unused-ignore]
    run.agent.optimiser.set_learning_rate = rate_spy  # type: ignore[method-assign,unused-ignore]
    run.go(60)
    assert seen["epsilon"] == [(step, settings.epsilon(step)) for step in run.steps[:-1]]
    assert seen["epsilon"][0][1] == 0.8
    assert seen["epsilon"][-1][1] == pytest.approx(0.05)
    assert len(seen["beta"]) == len(seen["rate"]) == run.progress.updates
    assert seen["beta"] == [(step, settings.importance_exponent(step)) for step, _ in seen["beta"]]
    assert seen["beta"][-1][1] == pytest.approx(0.9)
    assert seen["rate"] == [(step, settings.learning_rate_at(step)) for step, _ in seen["rate"]]
    assert seen["rate"][-1][1] == pytest.approx(1e-3)


def follow(epsilon: float, vector_steps: int) -> float:
    """Return the share of actions that were not the best one, in worlds where nothing is ever learned."""
    settings = config(learning_starts=1999, epsilon_start=epsilon, epsilon_end=epsilon, num_envs=50)
    run = Run(Guess(50, lengths=(1000,)), settings)
    seen, others = [run.progress.obs], 0
    for progress in islice(run.loop, vector_steps):
        seen.append(progress.obs)
    for obs, actions in zip(seen[:-1], run.envs.sent, strict=True):
        best = run.agent.q_values(torch.as_tensor(obs)).argmax(1).numpy()
        others += int((best != actions).sum())
    return others / (50 * vector_steps)


def test_without_epsilon_every_action_is_the_best_one_for_the_observation_it_answers() -> None:
    assert follow(0.0, 20) == 0.0


def test_a_share_epsilon_of_the_actions_is_random() -> None:
    assert follow(0.3, 39) == pytest.approx(0.3 * 2 / 3, abs=0.03)  # one random action in three is the best one


# What is stored


def test_what_is_stored_is_what_was_seen_done_and_paid() -> None:
    run = Run(Guess(3, lengths=(4, 6, 50)), config(num_envs=3, learning_starts=1999)).go(40)
    batch = run.everything()
    assert len(batch.index) == 3 * 39 - int(np.array(run.envs.resets)[:39].sum())
    assert torch.equal(batch.reward, (batch.obs.argmax(1) == batch.action).float())
    actions = torch.tensor(np.array(run.envs.sent))
    assert torch.equal(batch.action, actions.view(-1)[batch.index])
    ends = batch.discount == 0
    assert int(ends.sum()) == len([episode for episode in run.episodes if episode.step < run.steps[-1]])


@pytest.mark.parametrize(("clip", "stored"), [(1.0, 1.0), (2.5, 2.5), (0.0, 7.0)])
@pytest.mark.parametrize("sign", [1, -1])
def test_rewards_are_clipped_for_learning_and_raw_in_the_score(clip: float, stored: float, sign: int) -> None:
    run = Run(Guess(states=1, prize=7.0 * sign), config(reward_clip=clip)).go(12)
    assert set(run.everything().reward.tolist()) == {stored * sign}
    assert {episode.score for episode in run.episodes} == {35.0 * sign}


@pytest.mark.parametrize(("prize", "clip", "stored"), [(-7.0, 0.0, -21.0), (-7.0, 1.0, -3.0), (7.0, 0.0, 7.0)])
def test_penalties_are_scaled_for_learning_after_clipping_and_raw_in_the_score(
    prize: float, clip: float, stored: float
) -> None:
    run = Run(Guess(states=1, prize=prize), config(reward_clip=clip, penalty_scale=3)).go(12)
    assert set(run.everything().reward.tolist()) == {stored}
    assert {episode.score for episode in run.episodes} == {5 * prize}


@pytest.mark.parametrize("counts", [True, False])
def test_a_lost_life_is_a_terminal_only_if_asked_for(counts: bool) -> None:
    run = Run(Guess(2, lives=True), config(num_envs=2, life_loss_terminal=counts, learning_starts=1999)).go(6)
    discounts = run.everything().discount.view(5, 2)[:, 0].tolist()
    life = 0.0 if counts else pytest.approx(0.99)
    assert discounts == [pytest.approx(0.99), life, pytest.approx(0.99), pytest.approx(0.99), 0.0]
    assert [episode.length for episode in run.episodes] == [5, 5]


# What is counted


def test_steps_count_actions_in_all_worlds_and_no_resets() -> None:
    run = Run(Guess(4, lengths=(3, 7)), config()).go(30)
    acted = [4 - int(reset.sum()) for reset in run.envs.resets]
    assert np.diff(run.steps).tolist() == acted
    assert sum(acted) < 4 * 30


def test_episodes_are_counted_whole_and_neither_by_lives_nor_by_resets() -> None:
    run = Run(Guess(3, lengths=(3, 4, 9), lives=True, states=1, prize=2.0), config(num_envs=3)).go(20)
    # Rows of length + reset: 20 = 5 * 4 = 4 * 5 = 2 * 10
    assert sorted(episode.length for episode in run.episodes) == [3] * 5 + [4] * 4 + [9] * 2
    assert run.progress.episodes == 11
    assert all(episode.score == 2.0 * episode.length for episode in run.episodes)
    assert not any(episode.truncated for episode in run.episodes)
    first = run.episodes[0]
    assert first == Episode(step=9, score=6.0, length=3, truncated=False)


def test_an_episode_that_was_cut_says_so() -> None:
    run = Run(Guess(end="truncated"), config()).go(12)
    assert len(run.episodes) == 8
    assert all(episode.truncated for episode in run.episodes)


def test_episodes_that_start_afresh_lose_what_they_had() -> None:
    run = Run(Guess(states=1, lengths=(9,)), config()).go(5)
    assert run.progress.length.tolist() == [5] * 4
    assert run.progress.score.tolist() == [5.0] * 4
    obs = np.zeros((4, 1), np.float32)
    run.progress.restart_episodes(obs)
    assert run.progress.obs is obs
    assert run.progress.length.tolist() == run.progress.score.tolist() == [0] * 4
    assert run.progress.step == 20


def test_the_time_is_booked_on_every_section() -> None:
    run = Run(Guess(), config()).go(20)
    assert set(run.progress.seconds) == {"act", "sample", "learn", "envs", "store"}
    assert all(spent > 0 for spent in run.progress.seconds.values())


# Who waits for whom


@pytest.mark.parametrize(
    ("settings", "updates"),
    [({}, ["sample", "look_ahead", "move"]), ({"priority_exponent": 0.5}, ["sample", "look_ahead", "move", "update"])],
)
def test_the_worlds_step_while_the_learner_learns(settings: dict[str, Any], updates: list[str]) -> None:
    run = Run(Guess(), config(**settings)).go(10)
    events: list[str] = []

    def spy(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            events.append(name)
            return original(*args, **kwargs)

        setattr(owner, name, wrapped)

    owners = {"act": run.agent, "send": run.envs, "recv": run.envs, "add": run.replay, "sample": run.replay}
    owners |= {name: run.replay if name == "update" else run.agent for name in updates[1:]}
    for name, owner in owners.items():
        spy(owner, name)
    run.go(1)
    assert events == ["act", "send", *updates, "recv", "add"]


# Two halves that step in turns


class Halved:
    """Two halves of a guessing world, which write down what is asked of them."""

    def __init__(self, **settings: Any) -> None:
        self.events: list[str] = []
        self.halves = self.half("first", seed=0, **settings), self.half("second", seed=1, **settings)

    def half(self, name: str, **settings: Any) -> Guess:
        events = self.events

        class Half(Guess):
            def send(self, actions: Any) -> None:
                events.append(f"send {name}")
                super().send(actions)

            def recv(self) -> Any:
                events.append(f"recv {name}")
                return super().recv()

        return Half(num_envs=2, **settings)


class InTurns:
    """An agent in training on two halves."""

    def __init__(self, **settings: Any) -> None:
        self.envs = Halved(lengths=(5, 7))
        self.config = config(**settings)
        self.agent = DQN(self.config, (3,), 3, seed=0)
        self.replay = Replay(2000, 4, (3,), obs_dtype=torch.float32, n_step=self.config.n_step, seed=0)
        self.progress = Progress.begin(np.concatenate([half.reset()[0] for half in self.envs.halves]))
        self.loop = train_in_turns(self.agent, self.envs, self.replay, self.config, self.progress)
        self.episodes: list[Episode] = []

    def go(self, steps: int) -> "InTurns":
        for progress in islice(self.loop, steps):
            self.episodes += progress.finished
        return self


def test_each_half_is_sent_actions_before_the_other_is_waited_for() -> None:
    run = InTurns().go(4)
    turn = ["send second", "recv first", "send first", "recv second"]
    assert run.envs.events == ["send first", *4 * turn]


def test_what_is_stored_is_what_happened_in_both_halves() -> None:
    run = InTurns().go(80)
    batch = run.replay.sample(400)
    assert torch.equal(batch.reward, (batch.obs.argmax(1) == batch.action).float())  # a guess that was right
    rows, worlds = batch.index // 4, batch.index % 4
    sent = [np.stack(half.sent) for half in run.envs.halves]  # (steps, 2) each
    taken = torch.from_numpy(np.concatenate([half[:80] for half in sent], 1))
    assert torch.equal(taken[rows, worlds], batch.action)
    assert {world.item() for world in worlds} == {0, 1, 2, 3}
    assert {episode.length for episode in run.episodes} == {5, 7}
    assert run.progress.step == 80 * 4 - sum(int(np.stack(half.resets[:80]).sum()) for half in run.envs.halves)


def test_in_turns_it_learns() -> None:
    run = InTurns().go(600)
    assert run.progress.updates > 500
    assert run.agent.q_values(torch.eye(3)).argmax(1).tolist() == [0, 1, 2]


def test_a_run_in_turns_is_the_same_under_the_same_seed() -> None:
    one, two = (InTurns().go(100).agent.online.parameters() for _ in range(2))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(one, two, strict=True))
