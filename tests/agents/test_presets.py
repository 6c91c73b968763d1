from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rlrun.agents.config import Config, ConfigError, difference
from rlrun.agents.dqn import DQN
from rlrun.agents.presets import PRESETS, preset
from rlrun.agents.replay import Replay
from rlrun.networks import CategoricalHead, ExpectationHead, NoisyLinear

pytestmark = pytest.mark.usefixtures("kept_gradients")

PICTURE, ACTIONS, NUM_ENVS = (4, 44, 44), 3, 2


def agent_for(config: Config) -> DQN:
    return DQN(config, PICTURE, ACTIONS)


def replay_for(config: Config, rows: int = 40) -> Replay:
    """Return a small replay with everything else as `config` says, full of random pictures and rewards."""
    replay = Replay(
        rows * NUM_ENVS,
        NUM_ENVS,
        PICTURE,
        stack=PICTURE[0],
        n_step=config.n_step,
        discount=config.discount,
        priority_exponent=config.priority_exponent,
    )
    source = torch.Generator().manual_seed(0)
    none = torch.zeros(NUM_ENVS, dtype=torch.bool)
    for _ in range(rows):
        obs = torch.randint(256, (NUM_ENVS, *PICTURE), generator=source, dtype=torch.uint8)
        action = torch.randint(ACTIONS, (NUM_ENVS,), generator=source)
        replay.add(obs, action, torch.randn(NUM_ENVS, generator=source), none, none, none)
    return replay


def online_weights(agent: DQN) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in agent.online.named_parameters()}


# The table


def test_an_unknown_preset_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(ConfigError, match=r"unknown preset 'rainbo'; did you mean .*rainbow"):
        preset("rainbo")
    with pytest.raises(ConfigError, match=r"unknown preset '%%%'; known are .*dqn, .*nature"):
        preset("%%%")


def test_every_preset_has_its_line_and_a_parent_that_stands_before_it() -> None:
    seen: list[str] = []
    for name, (config, parent, line) in PRESETS.items():
        assert preset(name) is config
        assert line
        if seen:
            assert parent in seen
            assert difference(config, preset(parent)), f"{name} is {parent}"
        else:
            assert parent == ""
        seen.append(name)
    assert {"dqn", "nature", "double", "rainbow", "fast", "control"} <= set(seen)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_being_written_down(name: str) -> None:
    config = preset(name)
    assert set(config.as_dict()) == {field.name for field in fields(Config)}
    assert Config().with_settings(config.as_dict()) == config


# Every part that a preset names is on, and no other


@pytest.mark.parametrize("name", PRESETS)
def test_the_network_has_the_parts_that_the_preset_names_and_no_others(name: str) -> None:
    config = preset(name)
    head = agent_for(config).online.head
    assert isinstance(head, CategoricalHead if config.distribution == "categorical" else ExpectationHead)
    assert head.atoms == (config.atoms if config.distribution == "categorical" else 1)
    assert (head.value is not None) == config.dueling
    layers = [layer for layer in head.modules() if isinstance(layer, nn.Linear | NoisyLinear)]
    assert len(layers) == (2 if config.dueling else 1) * (len(config.hidden) + 1)
    assert all(isinstance(layer, NoisyLinear) == config.noisy for layer in layers)


@pytest.mark.parametrize("name", PRESETS)
def test_the_weights_have_the_precision_that_the_preset_names_and_the_q_values_are_float32(name: str) -> None:
    config = preset(name)
    agent = agent_for(config)
    expected = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    for network in (agent.online, agent.target):
        assert {weight.dtype for weight in network.body.parameters()} == {expected}
        streams = [stream for stream in (network.head.advantage, network.head.value) if stream is not None]
        for stream in streams:
            assert {weight.dtype for weight in stream.hidden.parameters()} <= {expected}
            assert {weight.dtype for weight in stream.output.parameters()} == {torch.float32}
    assert agent.q_values(torch.zeros(2, *PICTURE, dtype=torch.uint8)).dtype == torch.float32


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_learns_and_its_replay_and_target_are_used_as_it_says(name: str) -> None:
    config = preset(name)
    agent, replay = agent_for(config), replay_for(config)
    assert replay.n_step == config.n_step
    before = online_weights(agent)
    uniform = replay.sample(64, config.importance_exponent(0))
    assert uniform.discount.unique().tolist() == [pytest.approx(config.discount**config.n_step)]
    priority = agent.learn(uniform)
    assert priority.shape == (64,)
    assert torch.isfinite(priority).all()
    replay.update(uniform.index, priority)
    after = online_weights(agent)
    assert all(not torch.equal(before[key], after[key]) for key in before if "output" in key)
    weights = replay.sample(64, config.importance_exponent(0)).weight
    assert (len(weights.unique()) > 1) == (config.priority_exponent > 0)


@pytest.mark.parametrize("name", PRESETS)
def test_the_noise_moves_the_q_values_between_acts_only_where_the_preset_is_noisy(name: str) -> None:
    agent = agent_for(preset(name))
    obs = torch.full((1, *PICTURE), 128, dtype=torch.uint8)
    seen = []
    for _ in range(3):
        agent.act(obs, 0.0)
        seen.append(tuple(agent.q_values(obs)[0].tolist()))
    assert len(set(seen)) == (3 if preset(name).noisy else 1)


@pytest.mark.parametrize("name", PRESETS)
def test_the_online_network_chooses_the_next_action_only_where_the_preset_is_double(name: str) -> None:
    config = preset(name)
    batch = replay_for(config).sample(16)
    batch = batch._replace(action=torch.zeros_like(batch.action))

    def learned(preferred: int) -> Tensor:
        """Return the priorities when the online network prefers an action that the batch did not take."""
        agent = agent_for(config)
        for network, action, bonus in ((agent.online, preferred, 50.0), (agent.target, 2, 1.0)):
            with torch.no_grad():  # the last atom is the highest return, or the only one
                network.head.advantage.output.bias.view(ACTIONS, -1)[action, -1] += bonus
        priority: Tensor = agent.learn(batch)
        return priority

    assert torch.allclose(learned(1), learned(2), rtol=1e-6) == (not config.double)


@pytest.mark.parametrize("name", [name for name in PRESETS if preset(name).precision == "bfloat16"])
def test_a_bfloat16_preset_keeps_updates_too_small_for_bfloat16(name: str) -> None:
    config = preset(name)
    agent = agent_for(config)
    batch = replay_for(config).sample(config.batch_size)
    agent.learn(batch)  # under layer norm the output layer starts at zero and lets no gradient through at first
    agent.optimiser.set_learning_rate(2e-6)
    names = [name for name, weight in agent.online.named_parameters() if weight.dtype == torch.bfloat16]
    masters = [key for key in agent.optimiser.state() if key.startswith("master.")]
    assert len(masters) == len(names) > 0
    assert all(agent.optimiser.state()[key].dtype == torch.float32 for key in masters)
    before = online_weights(agent)
    begun = {key: agent.optimiser.state()[key].clone() for key in masters}
    agent.learn(batch)
    now, moved = online_weights(agent), agent.optimiser.state()
    same = sum(int((before[key] == now[key]).sum()) for key in names) / sum(before[key].numel() for key in names)
    assert same > 0.95  # the weights themselves cannot show such a step, most of the masters have taken it
    steps = torch.cat([(moved[key] - begun[key]).flatten() for key in masters])
    assert float((steps != 0).float().mean()) > 0.5
    assert float(steps.abs().max()) < 2.1e-6


# What the papers say


def first_step(agent: DQN, config: Config) -> list[tuple[Tensor, Tensor]]:
    """Return each weight's gradient and movement on the first step."""
    before = online_weights(agent)
    agent.learn(replay_for(config).sample(config.batch_size))
    after = dict(agent.online.named_parameters())
    return [(after[key].grad, after[key].detach() - before[key]) for key in before]


def assert_values(config: Config, **values: Any) -> None:
    assert {key: getattr(config, key) for key in values} == values


def test_nature_is_the_paper_of_2015() -> None:
    config = preset("nature")
    for gradient, movement in first_step(agent_for(config), config):
        # centred RMSProp: the mean of squares less the square of the mean, from zeros
        spread = (0.05 * gradient**2 - (0.05 * gradient) ** 2).sqrt()
        torch.testing.assert_close(movement, -2.5e-4 * gradient / (spread + 0.01**0.5 / 32), atol=2e-8, rtol=1e-4)
    assert_values(
        config,
        batch_size=32,
        steps_per_update=4.0,
        discount=0.99,
        n_step=1,
        double=False,
        priority_exponent=0.0,
        loss="huber",
        reward_clip=1.0,
        life_loss_terminal=True,
        learning_starts=50_000,
        replay_capacity=1_000_000,
        evaluation_epsilon=0.05,
        max_grad_norm=0.0,
    )
    assert config.target_period_updates * config.steps_per_update * 4 == 40_000  # frames
    assert [config.epsilon(frames // 4) for frames in (0, 1_000_000, 10**8)] == pytest.approx([1.0, 0.1, 0.1])
    assert config.learning_rate_at(10**9) == 2.5e-4


def test_dqn_is_dopamines_with_adam() -> None:
    config = replace(preset("dqn"), precision="float32")  # whose weights show a single step
    for gradient, movement in first_step(agent_for(config), config):
        torch.testing.assert_close(movement, -6.25e-5 * gradient / (gradient.abs() + 1.5e-4), atol=2e-8, rtol=1e-4)
    assert_values(config, batch_size=32, steps_per_update=4.0, n_step=1, learning_starts=20_000, double=False)
    assert config.target_period_updates * config.steps_per_update == 8_000
    assert [config.epsilon(step) for step in (0, 250_000, 10**8)] == pytest.approx([1.0, 0.01, 0.01])


def test_double_is_dqn_and_nothing_else_but_double() -> None:
    assert difference(preset("double"), preset("dqn")) == {"double": (False, True)}


def test_rainbow_is_all_six_parts() -> None:
    config = preset("rainbow")
    assert_values(
        config, double=True, dueling=True, noisy=True, distribution="categorical", n_step=3, priority_exponent=0.5
    )
    head = agent_for(config).online.head
    torch.testing.assert_close(head.support, torch.linspace(-10, 10, 51))
    for layer in head.modules():
        if isinstance(layer, NoisyLinear):
            sigma = layer.weight_sigma.detach()
            torch.testing.assert_close(sigma, torch.full_like(sigma, 0.5 / layer.in_features**0.5))
    assert [config.epsilon(step) for step in (0, 1000, 10**8)] == [0.0] * 3
    ends = [config.importance_exponent(step) for step in (0, config.anneal_steps)]
    assert ends == pytest.approx([0.4, 1.0])
    assert_values(config, batch_size=32, steps_per_update=4.0, discount=0.99, learning_starts=20_000)
    assert_values(config, learning_rate=6.25e-5, optimizer_eps=1.5e-4, optimizer="adam", evaluation_epsilon=0.0)


def test_rainbow_clips_its_gradients_at_norm_ten() -> None:
    config = replace(preset("rainbow"), precision="float32")  # whose gradients are what the optimiser clips
    agent = agent_for(config)
    batch = replay_for(config).sample(8)
    agent.learn(batch._replace(weight=batch.weight * 1e6))
    norms = [weight.grad.norm() for weight in agent.online.parameters()]
    assert float(torch.stack(norms).norm()) == pytest.approx(10.0, rel=1e-3)


def test_rainbow_draws_what_surprised_it_more_often() -> None:
    config = preset("rainbow")
    agent, replay = agent_for(config), replay_for(config)
    batch = replay.sample(16, config.importance_exponent(0))
    assert batch.weight.tolist() == [1.0] * 16  # nothing is known yet
    priority = agent.learn(batch)
    replay.update(batch.index, priority)
    learned = dict(zip(batch.index.tolist(), priority.tolist(), strict=True))
    expected = torch.where(replay.startable.view(-1), 1.0, 0.0)
    for slot, surprise in learned.items():
        expected[slot] = surprise**0.5
    share = replay.sample(4000).index.bincount(minlength=len(expected)) / 4000
    torch.testing.assert_close(share, expected / expected.sum(), atol=1e-3, rtol=0)
    assert max(learned.values()) > 1.5  # the cross entropy of 51 atoms begins near log 51


def test_fast_is_dueling_with_returns_of_several_steps_in_bfloat16() -> None:
    config = preset("fast")
    assert config.dueling
    assert config.n_step > 1
    assert config.precision == "bfloat16"


def test_control_sees_numbers_with_an_mlp() -> None:
    config = preset("control")
    assert config.body == "mlp"
    network = DQN(config, (4,), 2).online
    widths = [layer.out_features for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert widths == [*config.mlp_hidden, *config.hidden, 2, *config.hidden, 1]  # the advantages' stream, the value's


def test_control_learns_from_returns_of_several_steps_and_normalises_its_layers() -> None:
    config = preset("control")
    assert config.n_step > 1
    assert any(isinstance(layer, nn.LayerNorm) for layer in DQN(config, (4,), 2).online.modules())
