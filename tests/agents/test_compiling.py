"""Compiled networks on a CPU, small ones: g++ takes seconds for each."""

import copy
import shutil
from typing import Any

import pytest
import torch
from torch import Tensor

from rlrun.agents import accelerator
from rlrun.agents.config import Config, ConfigError
from rlrun.agents.dqn import DQN
from rlrun.agents.progress import Progress
from rlrun.agents.replay import Replay
from rlrun.agents.updates import EagerUpdates
from rlrun.networks import ExpectationHead, QNetwork

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")


def config(**settings: Any) -> Config:
    base = Config(
        body="mlp", mlp_hidden=(8,), hidden=(8,), batch_size=8, num_envs=4, steps_per_update=4.0, layer_norm=True,
        dueling=True, double=True, target_period_updates=2, learning_rate=1e-2, learning_rate_end=1e-2,
    )  # fmt: skip
    return base.with_settings(settings)


def learned(agent: DQN, updates: int) -> DQN:
    """Return the agent after updates from random transitions."""
    replay = Replay(200, 4, agent.obs_shape, obs_dtype=torch.float32, seed=2)
    source = torch.Generator().manual_seed(3)
    none = torch.zeros(4, dtype=torch.bool)
    for _ in range(30):
        obs, reward = torch.randn(4, *agent.obs_shape, generator=source), torch.randn(4, generator=source)
        replay.add(obs, torch.randint(3, (4,), generator=source), reward, none, none, none)
    make = accelerator.build_updates(agent, replay, agent.config)
    assert isinstance(make, EagerUpdates), "updates that share a pass would be compiled for many sizes"
    make(updates, Progress.begin(obs.numpy()))
    return agent


@needs_compiler
def test_compiled_updates_learn_what_plain_ones_learn_and_either_takes_the_others_weights() -> None:
    compiled = learned(accelerator.build_agent(config(compile=True), (3,), 3, seed=1), 5)
    plain = DQN(config(compile=True), (3,), 3, seed=1)
    start = copy.deepcopy(plain.online.state_dict())
    learned(plain, 5)
    obs = torch.randn(8, 3)
    assert plain.state().keys() == compiled.state().keys()
    for part, state in plain.state().items():
        assert state.keys() == compiled.state()[part].keys()
        for name, expected in state.items():
            torch.testing.assert_close(compiled.state()[part][name], expected, rtol=1e-4, atol=1e-5)
    assert not torch.equal(plain.online.state_dict()["body.layers.0.weight"], start["body.layers.0.weight"])
    torch.testing.assert_close(compiled.q_values(obs), plain.q_values(obs), rtol=1e-4, atol=1e-5)
    again = DQN(config(), (3,), 3, seed=9)
    again.load(compiled.state())
    torch.testing.assert_close(again.q_values(obs), compiled.q_values(obs))
    compiled.online.load_state_dict(start)  # and a compiled network computes with what it is given
    again.online.load_state_dict(start)
    torch.testing.assert_close(again.q_values(obs), compiled.q_values(obs))


@needs_compiler
def test_compiled_networks_see_bytes_and_floats_in_batches_of_any_size() -> None:
    settings = config(body="nature", width=0.05, compile=True)
    compiled = accelerator.build_agent(settings, (4, 36, 36), 3, seed=1)
    plain = DQN(settings, (4, 36, 36), 3, seed=1)
    with torch.no_grad():
        for agent in (compiled, plain):
            torch.nn.init.ones_(agent.online.head.get_parameter("advantage.output.weight")[0])
    seen = torch.randint(256, (3, 4, 36, 36), dtype=torch.uint8)
    for obs in (seen, seen[:2], seen / 255):
        torch.testing.assert_close(compiled.q_values(obs), plain.q_values(obs), rtol=1e-4, atol=1e-5)
    assert not torch.equal(compiled.q_values(seen)[0], compiled.q_values(seen)[1])


@needs_compiler
def test_a_compiled_pool_has_the_gradient_of_the_plain_one_without_scattering() -> None:
    from torch._inductor.decomposition import select_decomp_table

    from rlrun.agents.compiling import compile_network

    class Pool(torch.nn.MaxPool2d):
        def forward(self, x: Tensor) -> Tensor:
            pooled: Tensor = super().forward(x.relu())
            return pooled

    pool = Pool(3, stride=2, padding=1)
    network = QNetwork(copy.deepcopy(pool), ExpectationHead(1, 1))
    x = torch.randint(5, (2, 4, 9, 8)).float().contiguous(memory_format=torch.channels_last).requires_grad_()
    expected = torch.autograd.grad(pool(x).square().sum(), x)[0]
    compile_network(network)
    assert torch.ops.aten.max_pool2d_with_indices_backward.default not in select_decomp_table()
    assert torch.equal(torch.autograd.grad(network.body(x).square().sum(), x)[0], expected)  # ties as well


@needs_compiler
def test_both_networks_are_compiled_and_more_shapes_than_torch_would_take() -> None:
    agent = accelerator.build_agent(config(compile=True), (3,), 3)
    for network in (agent.online, agent.target):
        assert all(part._compiled_call_impl is not None for part in (network.body, network.head))
    plain = accelerator.build_agent(config(), (3,), 3)
    assert plain.online.body._compiled_call_impl is None
    # A target and an online network, with and without gradients, for batches and for acting, in one process for two.
    assert torch._dynamo.config.recompile_limit >= 32


@pytest.mark.parametrize(
    ("device", "triton", "message"),
    [
        ("cpu", True, "compile = true is not possible: it needs a C\\+\\+ compiler, and there is none"),
        ("cuda", True, "compile = true is not possible: it needs a C compiler, and there is none"),
        ("cuda", False, "compile = true is not possible: on a GPU it needs Triton, which is not installed"),
    ],
)
def test_where_nothing_can_be_compiled_one_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, device: str, triton: bool, message: str
) -> None:
    from rlrun.agents.compiling import require_compiler

    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if triton else None)
    with pytest.raises(ConfigError, match=message):
        require_compiler(torch.device(device))
