import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from rlrun.agents.architecture import build_network
from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.replay import Batch, Replay
from rlrun.networks import CNN, MLP, CategoricalHead, EnsembleHead, ExpectationHead, Impala, NoisyLinear

pytestmark = pytest.mark.usefixtures("kept_gradients")

STATES, ACTIONS = 3, 2
DISTRIBUTIONS = ["expectation", "categorical", "quantile", "ensemble"]


def config(**settings: Any) -> Config:
    return Config(body="mlp", mlp_hidden=(), hidden=()).with_settings(settings)


def table(agent: DQN, online: list[Any], target: list[Any] | None = None) -> None:
    """Make the networks, one linear layer without bias over one-hot states, say Q[state][action] (or its logits)."""
    for network, values in ((agent.online, online), (agent.target, target or online)):
        output = network.head.advantage.output
        with torch.no_grad():
            output.weight.copy_(torch.tensor(values).reshape(STATES, -1).T)
            output.bias.zero_()


def one_hot(*states: int) -> Tensor:
    return nn.functional.one_hot(torch.tensor(states), STATES).float()


def batch(*rows: tuple[int, int, float, float, int], weight: list[float] | None = None) -> Batch:
    """Return a batch from rows of state, action, reward, discount, next state."""
    states, actions, rewards, discounts, next_states = zip(*rows, strict=True)
    return Batch(
        obs=one_hot(*states),
        action=torch.tensor(actions),
        reward=torch.tensor(rewards),
        discount=torch.tensor(discounts),
        next_obs=one_hot(*next_states),
        weight=torch.tensor(weight or [1.0] * len(rows)),
        index=torch.arange(len(rows)),
    )


def slopes(agent: DQN) -> list[list[float]]:
    """Return the gradient of the last step with respect to Q[state][action]."""
    gradient: list[list[float]] = agent.online.head.advantage.output.weight.grad.T.tolist()
    return gradient


def weights_of(agent: DQN) -> list[Tensor]:
    return [value.clone() for value in agent.online.state_dict().values()]


# Building


@pytest.mark.parametrize(
    ("body", "shape", "kind"),
    [
        ("nature", (4, 84, 84), CNN),
        ("impala", (4, 84, 84), Impala),
        ("mlp", (4, 10, 10), MLP),
        ("nature", (7,), MLP),
        ("impala", (2, 3), MLP),
    ],
)
def test_pictures_get_the_body_asked_for_and_other_worlds_an_mlp(body: str, shape: tuple[int, ...], kind: type) -> None:
    network = build_network(Config(body=body, width=0.1, hidden=(8,)), shape, 5)
    assert isinstance(network.body, kind)
    assert network(torch.zeros(2, *shape)).shape == (2, 5)


def test_the_width_scales_the_convolutions() -> None:
    network = build_network(Config(width=0.5, hidden=(8,)), (4, 84, 84), 3)
    assert [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)] == [16, 32, 32]


def test_the_hidden_layers_are_those_asked_for() -> None:
    network = build_network(Config(mlp_hidden=(11, 7), hidden=(5, 3)), (2,), 4)
    assert [m.out_features for m in network.modules() if isinstance(m, nn.Linear)] == [11, 7, 5, 3, 4]


def test_with_knots_the_first_layer_of_an_mlp_sees_hats() -> None:
    network = build_network(Config(mlp_hidden=(11,), hidden=(5,)).with_settings({"knots": "0,.5,1"}), (2,), 4)
    assert [m.in_features for m in network.modules() if isinstance(m, nn.Linear)] == [6, 11, 5]


@pytest.mark.parametrize(
    ("body", "shape"),
    [("nature", (4, 84, 84)), ("impala", (4, 21, 21)), ("mlp", (7,))],
    ids=["nature", "impala", "mlp"],
)
@pytest.mark.parametrize("dueling", [False, True])
def test_with_layer_norm_every_relu_of_body_and_head_follows_one(
    body: str, shape: tuple[int, ...], dueling: bool
) -> None:
    for layer_norm in (False, True):
        settings = config(body=body, width=0.25, hidden="8", mlp_hidden="9", dueling=dueling, layer_norm=layer_norm)
        modules = [m for m in build_network(settings, shape, 3).modules() if not list(m.children())]
        before = {type(a) for a, b in pairwise(modules) if isinstance(b, nn.ReLU)}
        assert bool(before & {nn.GroupNorm, nn.LayerNorm}) == layer_norm
        assert not layer_norm or before <= {nn.GroupNorm, nn.LayerNorm}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_with_layer_norm_an_agent_expects_nothing_at_first(distribution: str) -> None:
    settings = config(layer_norm=True, dueling=True, distribution=distribution)
    obs = torch.randn(5, STATES)
    q = build_network(settings, (STATES,), 3)(obs)
    torch.testing.assert_close(q, torch.zeros(5, 3), atol=1e-5, rtol=0)
    assert build_network(settings.with_settings({"layer_norm": False}), (STATES,), 3)(obs).abs().max() > 1e-3


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_noise_begins_as_wide_as_asked_for(distribution: str) -> None:
    settings = config(noisy=True, noisy_sigma=0.25, hidden="16", dueling=True, distribution=distribution, members=1)
    layers = [m for m in build_network(settings, (STATES,), 2).modules() if isinstance(m, NoisyLinear)]
    assert len(layers) == 4
    for layer in layers:
        for sigma in (layer.weight_sigma, layer.bias_sigma):
            torch.testing.assert_close(sigma.detach(), torch.full_like(sigma, 0.25 / math.sqrt(layer.in_features)))


@pytest.mark.parametrize("distribution", [name for name in DISTRIBUTIONS if name != "categorical"])
def test_every_action_is_expected_to_bring_the_initial_value_at_first(distribution: str) -> None:
    settings = config(distribution=distribution, hidden="8", layer_norm=True, dueling=True, initial_value=22)
    agent = DQN(settings, (STATES,), ACTIONS)
    for network in (agent.online, agent.target):  # a layer-normalised head's output starts at zero but for this
        torch.testing.assert_close(network(one_hot(0, 1, 2)), torch.full((3, ACTIONS), 22.0))


def test_the_support_is_the_one_asked_for() -> None:
    settings = config(distribution="categorical", atoms=5, value_min=-1, value_max=3)
    head = build_network(settings, (STATES,), 2).head
    assert isinstance(head, CategoricalHead)
    assert head.support.tolist() == [-1, 0, 1, 2, 3]
    assert isinstance(build_network(config(), (STATES,), 2).head, ExpectationHead)


def test_the_seed_makes_the_network_and_leaves_the_callers_random_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, other = (DQN(config(hidden="8", noisy=True), (STATES,), ACTIONS, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(map(torch.equal, weights_of(first), weights_of(second)))
    assert not all(map(torch.equal, weights_of(first), weights_of(other)))


# Acting


def test_without_epsilon_the_best_action_is_taken() -> None:
    agent = DQN(config(), (STATES,), ACTIONS)
    table(agent, [[1, 2], [2, 1], [-2, -1]], [[9, 0], [0, 9], [9, 0]])
    for _ in range(20):
        assert agent.act(one_hot(0, 1, 2), 0.0).tolist() == [1, 0, 1]


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_a_share_epsilon_of_the_actions_is_uniformly_random(epsilon: float) -> None:
    agent = DQN(config(), (STATES,), 5)
    count = 40_000
    obs = torch.zeros(count, STATES)
    greedy = int(agent.act(obs[:1], 0.0)[0])
    share = agent.act(obs, epsilon).bincount(minlength=5) / count
    expected = torch.full((5,), epsilon / 5)
    expected[greedy] += 1 - epsilon
    torch.testing.assert_close(share, expected, atol=0.01, rtol=0)


def test_random_actions_and_whether_to_take_them_are_drawn_apart() -> None:
    agent = DQN(config(), (STATES,), 5)
    table_obs = torch.zeros(40_000, STATES)
    greedy = int(agent.act(table_obs[:1], 0.0)[0])
    actions = agent.act(table_obs, 0.1)
    explored = actions[actions != greedy].bincount(minlength=5) / 40_000
    assert sorted(explored.tolist())[1:] == pytest.approx([0.02] * 4, abs=0.005)  # the small draws choose no favourite


def test_worlds_explore_each_for_itself() -> None:
    agent = DQN(config(), (STATES,), ACTIONS)
    assert len({tuple(agent.act(torch.zeros(8, STATES), 1.0).tolist()) for _ in range(20)}) > 10


def test_noise_is_drawn_anew_for_each_act_and_stays_out_once_silenced() -> None:
    agent = DQN(config(noisy=True), (STATES,), ACTIONS)
    obs = one_hot(0, 1)
    seen = []
    for _ in range(4):
        agent.act(obs, 0.0)
        seen.append(tuple(agent.q_values(obs).view(-1).tolist()))
    assert len(set(seen)) == 4
    agent.silence()
    output = agent.online.head.advantage.output
    mean = obs @ output.weight.T + output.bias
    for _ in range(3):
        torch.testing.assert_close(agent.q_values(obs), mean)
        assert torch.equal(agent.act_silently(obs, 0.0), mean.argmax(1))


# Learning


def test_the_target_network_values_the_best_next_action_and_terminals_bootstrap_nothing() -> None:
    agent = DQN(config(loss="squared"), (STATES,), ACTIONS)
    online = [[1.0, 99.0], [50.0, 60.0], [99.0, 2.0]]
    table(agent, online, [[99.0, 99.0], [3.0, 5.0], [99.0, 99.0]])
    priorities = agent.learn(batch((0, 0, 0.5, 0.5, 1), (2, 1, 4.0, 0.0, 1)))
    # 1 - (.5 + .5 * 5) = -2;  2 - 4 = -2
    assert priorities.tolist() == [2.0, 2.0]
    assert slopes(agent) == [[-1.0, 0.0], [0.0, 0.0], [0.0, -1.0]]  # the mean over two


@pytest.mark.parametrize(("double", "target"), [(False, 1 + 0.5 * 8), (True, 1 + 0.5 * 4)])
def test_with_double_the_online_network_chooses_and_the_target_network_values(double: bool, target: float) -> None:
    agent = DQN(config(double=double), (STATES,), ACTIONS)
    table(agent, [[0.0, 99.0], [60.0, 50.0], [0.0, 0.0]], [[99.0, 99.0], [4.0, 8.0], [99.0, 99.0]])
    assert agent.learn(batch((0, 0, 1.0, 0.5, 1))).tolist() == [target]


@pytest.mark.parametrize(("loss", "slope"), [("huber", -1.0), ("squared", -10.0)])
def test_huber_clips_the_gradient_but_not_the_priority(loss: str, slope: float) -> None:
    agent = DQN(config(loss=loss), (STATES,), ACTIONS)
    table(agent, [[0.0, 0.0]] * 3)
    assert agent.learn(batch((1, 1, 10.0, 0.0, 0))).tolist() == [10.0]
    assert slopes(agent) == [[0.0, 0.0], [0.0, slope], [0.0, 0.0]]


def test_importance_weights_scale_the_gradient_but_not_the_priority() -> None:
    agent = DQN(config(loss="squared"), (STATES,), ACTIONS)
    table(agent, [[0.0, 0.0]] * 3)
    learned = agent.learn(batch((0, 0, 2.0, 0.0, 0), (1, 1, -4.0, 0.0, 0), weight=[1.0, 0.25]))
    assert learned.tolist() == [2.0, 4.0]
    assert slopes(agent) == [[-1.0, 0.0], [0.0, 0.5], [0.0, 0.0]]


def test_a_step_moves_the_online_network_towards_the_target_and_leaves_the_target_network() -> None:
    agent = DQN(config(learning_rate=0.1, learning_rate_end=0.1, optimizer_eps=1e-8), (STATES,), ACTIONS)
    table(agent, [[0.0, 0.0]] * 3)
    agent.learn(batch((0, 1, 1.0, 0.0, 0), (2, 0, -1.0, 0.0, 0)))
    q = agent.q_values(torch.eye(STATES)) - agent.online.head.advantage.output.bias.detach()
    torch.testing.assert_close(q, torch.tensor([[0.0, 0.1], [0.0, 0.0], [-0.1, 0.0]]), atol=1e-4, rtol=0)
    assert (agent.target(torch.eye(STATES)) == 0).all()


def test_the_target_network_becomes_the_online_network_to_the_bit() -> None:
    agent = DQN(config(noisy=True, hidden="4"), (STATES,), ACTIONS)
    agent.learn(batch((0, 1, 1.0, 0.0, 0)))
    obs = torch.eye(STATES)
    assert not torch.equal(agent.target(obs), agent.online(obs))
    agent.copy_to_target()
    assert torch.equal(agent.target(obs), agent.online(obs))
    assert not any(weight.requires_grad for weight in agent.target.parameters())


def test_both_networks_draw_noise_of_their_own_for_each_batch() -> None:
    agent = DQN(config(noisy=True), (STATES,), ACTIONS)
    noises = set()
    for _ in range(3):
        agent.learn(batch((0, 1, 1.0, 0.0, 0)))
        for network in (agent.online, agent.target):
            noises.add(tuple(network.head.advantage.output.noise_in.tolist()))
    assert len(noises) == 6


@pytest.mark.parametrize("double", [False, True])
def test_a_categorical_head_learns_the_cross_entropy_to_the_projected_target(double: bool) -> None:
    settings = config(distribution="categorical", atoms=3, value_min=-1, value_max=1, double=double)
    agent = DQN(settings, (STATES,), ACTIONS)
    third, trap = [0.0, 0.0, 0.0], [9.0, 0.0, 9.0]
    right = [0.0, 0.0, math.log(2)]  # 1/4 1/4 1/2: the best in the target network's eyes
    left = [math.log(2), 0.0, 0.0]  # 1/2 1/4 1/4: the best in the online network's eyes
    online = [[third, trap], [right, left], [trap, trap]]
    table(agent, online, [[trap, trap], [left, right], [trap, trap]])
    priority = agent.learn(batch((0, 0, 0.25, 0.5, 1)))
    # .25 + .5 * (-1, 0, 1) = (-.25, .25, .75): nearness (.25 .75 0), (0 .75 .25), (0 .25 .75)
    p = [0.5, 0.25, 0.25] if double else [0.25, 0.25, 0.5]
    target = [0.25 * p[0], 0.75 * p[0] + 0.75 * p[1] + 0.25 * p[2], 0.25 * p[1] + 0.75 * p[2]]
    assert sum(target) == pytest.approx(1)
    assert priority.tolist() == pytest.approx([math.log(3)])  # -sum target log(1/3)
    gradient = torch.tensor(slopes(agent)).view(STATES, ACTIONS, 3)
    torch.testing.assert_close(gradient[0, 0], torch.tensor([1 / 3 - mass for mass in target]))
    gradient[0, 0] = 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("double", [False, True])
def test_a_quantile_head_learns_from_the_quantiles_of_the_best_next_action(double: bool) -> None:
    agent = DQN(config(distribution="quantile", atoms=2, double=double), (STATES,), ACTIONS)
    high, low, trap = [2.0, 6.0], [0.0, 4.0], [99.0, 99.0]
    online = [[[0.0, 0.0], trap], [low, high], [trap, trap]]
    table(agent, online, [[trap, trap], [high, low], [trap, trap]])
    priority = agent.learn(batch((0, 0, 1.0, 0.5, 1)))
    targets = [1.0, 3.0] if double else [2.0, 4.0]  # 1 + .5 (2, 6), or of what the online network would choose
    assert priority.tolist() == [sum(targets) / 2]
    # every target lies a threshold above or more: the slope of quantile i is -level_i, 1/4 and 3/4
    assert slopes(agent) == [[-0.25, -0.75, 0.0, 0.0], [0.0] * 4, [0.0] * 4]


@pytest.mark.parametrize("double", [False, True])
def test_each_member_of_an_ensemble_learns_from_its_own_target_for_the_action_that_the_mean_prefers(
    double: bool,
) -> None:
    agent = DQN(config(distribution="ensemble", members=2, double=double, loss="squared"), (STATES,), ACTIONS)
    high, low, trap = [2.0, 6.0], [5.0, 1.0], [99.0, 99.0]  # means 4 and 3, though the first member prefers `low`
    assert isinstance(agent.online.head, EnsembleHead)
    assert isinstance(agent.target.head, EnsembleHead)
    members = zip(agent.online.head.members, agent.target.head.members, strict=True)
    for number, (online, target) in enumerate(members):
        values = [[0.0, 99.0], [low[number], high[number]], trap]
        bootstraps = [trap, [high[number], low[number]], trap]
        for member, rows in ((online, values), (target, bootstraps)):
            with torch.no_grad():
                member.advantage.output.weight.copy_(torch.tensor(rows).T)
                member.advantage.output.bias.zero_()
    priority = agent.learn(batch((0, 0, 1.0, 0.5, 1)))
    targets = [3.5, 1.5] if double else [2.0, 4.0]  # 1 + .5 (5, 1), what the online mean chooses, or 1 + .5 (2, 6)
    assert priority.tolist() == [sum(targets) / 2]
    for member, target in zip(agent.online.head.members, targets, strict=True):
        gradient = member.advantage.output.weight.grad
        assert gradient is not None
        assert gradient.T.tolist() == [[-target, 0.0], [0.0, 0.0], [0.0, 0.0]]


def test_gap_increase_takes_from_the_reward_what_the_target_finds_the_action_behind_the_best() -> None:
    agent = DQN(config(gap_increase=0.5, loss="squared"), (STATES,), ACTIONS)
    far = 99.0
    table(agent, [[0.0, 0.0], [far, far], [0.0, 0.0]], [[5.0, 1.0], [3.0, 2.0], [far, far]])
    td_error = agent.learn(batch((0, 1, 1.0, 0.5, 1), (0, 0, 1.0, 0.5, 1)))
    assert td_error.tolist() == [abs(1 - 0.5 * 4 + 0.5 * 3), abs(1 + 0.5 * 3)]  # the best is behind nothing


def test_gap_increase_is_undone_in_what_the_agent_expects() -> None:
    agent = DQN(config(gap_increase=0.75), (STATES,), ACTIONS)
    table(agent, [[3.0, 3.0], [5.0, 1.0], [-4.0, 0.0]])
    assert agent.q_values(one_hot(0, 1, 2)).tolist() == [[3.0, 3.0], [5.0, 4.0], [-1.0, 0.0]]  # a quarter of the gaps
    assert agent.act(one_hot(1, 2), 0.0).tolist() == [0, 1]


def test_munchausen_rewards_the_action_the_policy_would_take_and_bootstraps_from_the_soft_value() -> None:
    settings = config(munchausen=0.5, temperature=2.0, log_policy_floor=-1, loss="squared")
    agent = DQN(settings, (STATES,), ACTIONS)
    three, far = 2 * math.log(3), 99.0  # policies 1/4 3/4 and 0 1 at tau = 2
    table(agent, [[0.0, three], [far, -far], [0.0, far]], [[far, far], [three, 0.0], [far, far]])
    td_error = agent.learn(batch((0, 1, 1.0, 0.5, 1), (2, 0, 3.0, 0.0, 0)))
    first = three - (1 + 0.5 * 2 * math.log(0.75) + 0.5 * 2 * math.log(4))  # r + alpha tau log pi + gamma V
    second = 0 - (3 + 0.5 * -1)  # an action ruled out costs the floor
    assert td_error.tolist() == pytest.approx([abs(first), abs(second)])
    # no gradient through the bonus: only the action taken, and only by its error
    assert slopes(agent) == [pytest.approx([0, first / 2]), [0.0, 0.0], pytest.approx([second / 2, 0])]


def test_the_drain_gives_the_means_since_the_last_one() -> None:
    agent = DQN(config(loss="squared", learning_rate=1e-12, learning_rate_end=0), (STATES,), ACTIONS)
    table(agent, [[0.0, 7.0], [3.0, -1.0], [0.0, 0.0]])
    assert agent.drain() is None
    agent.learn(batch((0, 0, 2.0, 0.0, 0), (1, 0, 3.0, 0.0, 0)))  # losses 2 and 0, best 7 and 3
    agent.learn(batch((2, 0, 4.0, 0.0, 0)))  # loss 8, best 0
    assert agent.drain() == pytest.approx(((1 + 8) / 2, (5 + 0) / 2))
    assert agent.drain() is None
    agent.learn(batch((1, 1, 1.0, 0.0, 0)))  # loss 2, best 3
    assert agent.drain() == pytest.approx((2, 3))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_an_agent_put_back_together_from_its_state_goes_on_the_same(precision: str, distribution: str) -> None:
    settings = config(
        noisy=True, double=True, dueling=True, hidden="8", mlp_hidden="8", precision=precision,
        distribution=distribution, learning_rate=0.01, max_grad_norm=1.0,
    )  # fmt: skip
    agent, copy = (DQN(settings, (STATES,), ACTIONS, seed=seed) for seed in (1, 2))
    sample = batch((0, 1, 1.0, 0.5, 1), (1, 0, -1.0, 0.0, 2))
    for _ in range(3):
        agent.learn(sample)
    parts = {name: {key: value.clone() for key, value in part.items()} for name, part in agent.state().items()}
    copy.load(parts)
    for _ in range(3):
        assert torch.equal(agent.learn(sample), copy.learn(sample))
        assert torch.equal(agent.act(one_hot(0, 1, 2, 0, 1), 0.5), copy.act(one_hot(0, 1, 2, 0, 1), 0.5))
    for mine, theirs in zip(weights_of(agent), weights_of(copy), strict=True):
        assert torch.equal(mine, theirs)


# Never leaving the device


class Leaving(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lists the operations that make the host wait for a number, or whose result has a shape that depends on one."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique", "item", "bincount")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in self.WAITING:
            self.seen.append(name)
        if name in ("index", "index_put_", "index_put"):  # by a mask, it has to count first
            self.seen += [f"{name} by mask" for part in args[1] if part is not None and part.dtype == torch.bool]
        return func(*args, **(kwargs or {}))


@contextmanager
def on_the_device() -> Iterator[list[str]]:
    """Collect what would leave an accelerator, were the tensors on one."""
    with pytest.MonkeyPatch.context() as patch, Leaving() as mode:
        for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "__array__"):
            original = getattr(Tensor, name)

            def spy(self: Tensor, *args: Any, name: str = name, original: Any = original, **settings: Any) -> Any:
                mode.seen.append(name)
                return original(self, *args, **settings)

            patch.setattr(Tensor, name, spy)
        yield mode.seen


def test_the_watch_over_the_device_sees_what_leaves_it() -> None:
    numbers = torch.tensor([1.0, 2.0])
    with on_the_device() as seen:
        float(numbers.sum())
        numbers.tolist()
        numbers[numbers > 1]
        if numbers[0] > 0:
            numbers.max().item()
    assert {"__float__", "tolist", "index by mask", "__bool__", "item", "_local_scalar_dense"} <= set(seen)


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rmsprop": {"optimizer": "rmsprop", "loss": "squared"},
    "everything": {"double": True, "dueling": True, "noisy": True, "distribution": "categorical", "max_grad_norm": 10},
    "munchausen": {"munchausen": 0.9, "distribution": "quantile", "atoms": 8},
    "gap increase": {"gap_increase": 0.7, "double": True},
    "bfloat16": {"precision": "bfloat16", "double": True, "dueling": True, "max_grad_norm": 10},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_sampling_learning_and_acting_never_wait_for_the_device(variant: str, exponent: float) -> None:
    settings = Config(hidden=(16,), width=0.1).with_settings(VARIANTS[variant])
    agent = DQN(settings, (4, 44, 44), ACTIONS)
    replay = Replay(40, 2, (4, 44, 44), stack=4, n_step=3, priority_exponent=exponent)
    none = torch.zeros(2, dtype=torch.bool)
    for value in range(9):
        obs = torch.full((2, 4, 44, 44), value, dtype=torch.uint8)
        replay.add(obs, torch.tensor([0, 1]), torch.ones(2), none, none, none)
    sample = replay.sample(4, 0.4)
    replay.update(sample.index, agent.learn(sample))  # optimisers make their state on the first step
    with on_the_device() as seen:
        for _ in range(2):
            sample = replay.sample(4, 0.4)
            agent.optimiser.set_learning_rate(1e-4)
            replay.update(sample.index, agent.learn(sample))
        agent.copy_to_target()
        actions = agent.act(obs, 0.5)
        agent.act(obs, 0.0)
        replay.add(obs, actions, torch.ones(2), none, none, none)
    assert seen == []
