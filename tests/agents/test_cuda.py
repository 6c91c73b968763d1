"""What only a GPU can show: kernels, captured graphs and pinned memory against the plain code. pytest -m cuda"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import rlrun
from rlrun.agents import accelerator
from rlrun.agents.acting import GraphedActing
from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.frame_ring import normalised
from rlrun.agents.graph import WARM_UP, GraphedUpdates
from rlrun.agents.progress import Progress
from rlrun.agents.replay import Batch, Replay
from rlrun.agents.turns import train_as_they_step
from rlrun.agents.updates import EagerUpdates, Updates
from rlrun.cli import memory
from rlrun.cli.run import read_metrics
from rlrun.cli.session import Session

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]

Watch = Callable[[], AbstractContextManager[None]]
SHAPE, ACTIONS = (4, 84, 84), 6
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "prioritised": {"priority_exponent": 0.6, "n_step": 3, "double": True, "dueling": True, "max_grad_norm": 10},
    "noisy-quantile": {"noisy": True, "distribution": "quantile", "atoms": 16, "munchausen": 0.9},
    "categorical-rmsprop": {"distribution": "categorical", "optimizer": "rmsprop", "priority_exponent": 0.5},
    "gap-increase": {"gap_increase": 0.7, "double": True, "dueling": True},
    "bfloat16": {"precision": "bfloat16", "layer_norm": True, "priority_exponent": 0.5},
    "compiled": {"compile": True, "precision": "bfloat16", "layer_norm": True, "double": True, "dueling": True},
    "compiled-impala": {"compile": True, "precision": "bfloat16", "body": "impala", "width": 0.5},
}


@pytest.fixture(autouse=True)
def _deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)  # as `tune_process` sets it


def config(**settings: Any) -> Config:
    base = Config(
        width=0.5, hidden=(64,), batch_size=32, num_envs=8, steps_per_update=2.0, replay_capacity=4000,
        learning_starts=100, target_period_updates=10, anneal_steps=1000,
    )  # fmt: skip
    return base.with_settings(settings)


def filled(settings: Config, *, pinned: bool = False, plain: bool = False) -> Replay:
    """Return a replay of random frames on the GPU: with kernels, or `plain`, in torch's own operations."""
    if plain:
        replay = Replay(
            settings.replay_capacity, settings.num_envs, SHAPE, stack=4, n_step=settings.n_step,
            priority_exponent=settings.priority_exponent, seed=2, device="cuda",
        )  # fmt: skip
    else:
        replay = accelerator.build_replay(settings, SHAPE, torch.uint8, seed=2, device="cuda", pinned=pinned)
    source = torch.Generator().manual_seed(3)
    count = settings.num_envs
    for _ in range(120):
        obs = torch.randint(256, (count, *SHAPE), generator=source, dtype=torch.uint8)
        ends = torch.rand(3, count, generator=source) < 0.03
        row = (
            obs, torch.randint(ACTIONS, (count,), generator=source), torch.randn(count, generator=source),
            ends[0], ends[1] & ~ends[0], ends[2],
        )  # fmt: skip
        replay.add(*(part.cuda() for part in row))
    return replay


def built(settings: Config, kind: type[Updates]) -> tuple[DQN, Replay, Updates, Progress]:
    agent, replay = accelerator.build_agent(settings, SHAPE, ACTIONS, seed=1, device="cuda"), filled(settings)
    return agent, replay, kind(agent, replay, settings), Progress.begin(torch.zeros(8, *SHAPE).numpy())


def learned(settings: Config, kind: type[Updates], counts: list[int]) -> tuple[DQN, Replay]:
    """Return an agent and its replay after updates in groups of `counts`."""
    agent, replay, updates, progress = built(settings, kind)
    for count in counts:
        progress.step += 40
        updates(count, progress)
    assert progress.updates == sum(counts)
    return agent, replay


def numbers(agent: DQN, replay: Replay) -> dict[str, Tensor]:
    parts = {**agent.state(), "replay": replay.state()}
    return {f"{name}.{key}": value.cpu() for name, part in parts.items() for key, value in part.items()}


def test_the_watch_over_waiting_sees_it(no_waiting: Watch) -> None:
    with pytest.raises(RuntimeError, match="synchroniz"), no_waiting():
        torch.ones((), device="cuda").item()


# Sampling


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_kernels_sample_the_transitions_of_the_plain_code(precision: str) -> None:
    settings = config(precision=precision, priority_exponent=0.5, n_step=3)
    kernels, plain = filled(settings), filled(settings, plain=True)
    dtype = getattr(torch, precision)
    for _ in range(5):
        mine, theirs = kernels.sample(64, 0.4), plain.sample(64, 0.4)
        assert torch.equal(mine.index, theirs.index)
        assert torch.equal(mine.obs, normalised(theirs.obs, dtype))
        assert torch.equal(mine.next_obs, normalised(theirs.next_obs, dtype))
        for name in ("action", "reward", "discount", "weight"):
            torch.testing.assert_close(getattr(mine, name), getattr(theirs, name), rtol=1e-6, atol=0)
        distinct = mine.index.unique()  # of slots drawn twice the plain code may keep either error
        error = torch.rand(distinct.shape, device="cuda") * 5
        kernels.update(distinct, error)
        plain.update(distinct, error)


def test_frames_in_pinned_memory_make_the_batches_of_frames_on_the_device(no_waiting: Watch) -> None:
    settings = config(n_step=2, priority_exponent=0.5)
    here, there = filled(settings), filled(settings, pinned=True)
    assert there._ring.frames.device.type == "cpu"
    for _ in range(3):
        with no_waiting():
            mine, theirs = here.sample(32, 0.4), there.sample(32, 0.4)
        assert all(map(torch.equal, mine, theirs))
    assert torch.equal(here.frames(10, 30).cpu(), there.frames(10, 30))
    there.load_frames(0, here.frames(0, 5).cpu().view(torch.uint8))
    assert torch.equal(there.frames(0, 120), here.frames(0, 120).cpu())


def test_adding_a_row_does_not_wait(no_waiting: Watch) -> None:
    for pinned in (False, True):
        replay = filled(config(), pinned=pinned)
        none = torch.zeros(8, dtype=torch.bool, device="cuda")
        row = torch.zeros(8, *SHAPE, dtype=torch.uint8, device="cuda"), none.long(), none.float(), none, none, none
        with no_waiting():
            replay.add(*row)
            assert replay.ready()


# Learning


@pytest.mark.parametrize("variant", VARIANTS)
def test_graphs_learn_what_the_same_updates_learn_one_by_one(variant: str) -> None:
    settings = config(**VARIANTS[variant])
    counts = [2, 4, 4, 1, 9, 4]
    one_by_one = numbers(*learned(settings, EagerUpdates, counts))
    graphed = numbers(*learned(settings, GraphedUpdates, counts))
    # The same operations on the same numbers, but for the learning rate's and beta's rounding to float32.
    tolerance = 2e-2 if settings.precision == "bfloat16" else 1e-3
    assert one_by_one.keys() == graphed.keys()
    for name, expected in one_by_one.items():
        torch.testing.assert_close(graphed[name], expected, rtol=tolerance, atol=tolerance / 10, msg=name)
    drained = [learned(settings, kind, counts)[0].drain() for kind in (EagerUpdates, GraphedUpdates)]
    assert drained[0] is not None
    assert drained[1] == pytest.approx(drained[0], rel=0.02)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_graphed_run_is_the_same_under_the_same_seed_to_the_bit(variant: str) -> None:
    settings = config(**VARIANTS[variant])
    first, second = (numbers(*learned(settings, GraphedUpdates, [4] * 8)) for _ in range(2))
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


@pytest.mark.parametrize("kind", [EagerUpdates, GraphedUpdates])
@pytest.mark.parametrize("variant", VARIANTS)
def test_updates_never_wait_for_the_device(kind: type[Updates], variant: str, no_waiting: Watch) -> None:
    settings = config(**VARIANTS[variant])
    agent, _, updates, progress = built(settings, kind)
    updates(WARM_UP + 1, progress)  # libraries and kernels load, graphs are captured
    before = agent.online.head.advantage.output.weight.detach().clone()
    with no_waiting():
        for _ in range(4):
            progress.step += 8
            updates(5, progress)
    assert not torch.equal(before, agent.online.head.advantage.output.weight)


@pytest.mark.parametrize("body", ["nature", "impala"])
def test_compiled_networks_see_and_learn_what_plain_ones_do(body: str) -> None:
    settings = config(compile=True, body=body, width=0.5, double=True, dueling=True)
    compiled = accelerator.build_agent(settings, SHAPE, ACTIONS, seed=1, device="cuda")
    plain = DQN(settings, SHAPE, ACTIONS, seed=1, device="cuda")
    batch = filled(settings).sample(32)
    seen = torch.randint(256, (16, *SHAPE), dtype=torch.uint8, device="cuda")
    for obs in (batch.obs, seen):
        torch.testing.assert_close(compiled.q_values(obs), plain.q_values(obs), rtol=1e-2, atol=1e-3)  # TF32's
    found = []
    for agent in (compiled, plain):
        loss = agent._loss(batch, agent.look_ahead(batch)[1])[0]
        found.append(torch.cat([gradient.flatten() for gradient in agent.optimiser.gradients(loss)[1:]]))
    assert float(torch.nn.functional.cosine_similarity(found[0], found[1], dim=0)) > 0.999
    torch.testing.assert_close(found[0].norm(), found[1].norm(), rtol=1e-2, atol=0)


def test_a_graph_follows_the_learning_rate() -> None:
    settings = config(learning_rate=1e-3, learning_rate_end=0.0)
    agent, _, updates, progress = built(settings, GraphedUpdates)
    updates(WARM_UP + 4, progress)
    progress.step = settings.anneal_steps  # from here on the rate is zero
    before = [weight.clone() for weight in agent.online.parameters()]
    updates(8, progress)
    assert all(map(torch.equal, before, agent.online.parameters()))
    progress.step = 0
    updates(4, progress)
    assert not all(map(torch.equal, before, agent.online.parameters()))


def test_a_graph_sees_rows_added_after_its_capture() -> None:
    settings = config(priority_exponent=1.0)
    _, replay, updates, progress = built(settings, GraphedUpdates)
    updates(WARM_UP + 4, progress)
    none = torch.zeros(8, dtype=torch.bool, device="cuda")
    obs = torch.full((8, *SHAPE), 255, dtype=torch.uint8, device="cuda")
    first = replay.added * 8
    for _ in range(2):
        replay.add(obs, none.long(), torch.full((8,), 1000.0, device="cuda"), none, none, none)
    replay.update(torch.arange(first, first + 8, device="cuda"), torch.full((8,), 1e6, device="cuda"))
    before = replay.ledger.priorities.weight(torch.arange(first, first + 8, device="cuda"))
    updates(4, progress)
    after = replay.ledger.priorities.weight(torch.arange(first, first + 8, device="cuda"))
    assert bool((before != after).all())  # all eight were drawn, and given the priorities that they earned


# Acting


@pytest.mark.parametrize("variant", ["plain", "noisy-quantile", "gap-increase", "bfloat16"])
def test_a_graph_answers_as_the_policy_does_step_by_step(variant: str) -> None:
    agent = DQN(config(**VARIANTS[variant]), SHAPE, ACTIONS, seed=1, device="cuda")
    acting, policy = GraphedActing(agent.policy.snapshot(5), agent.exploration), agent.policy.snapshot(5)
    source = torch.Generator().manual_seed(0)
    acting.refresh()
    for number in range(10):
        obs = torch.randint(256, (16, *SHAPE), generator=source, dtype=torch.uint8)
        seen = acting.ask(obs.numpy(), 0.05 + 0.1 * number, 0)  # a policy draws nothing where epsilon is 0
        expected = policy.act(obs.cuda(), 0.05 + 0.1 * number)
        assert acting.answer().tolist() == expected.tolist()
        assert torch.equal(seen.cpu(), obs)


def test_a_graph_answers_by_the_weights_of_the_last_refresh() -> None:
    agent = DQN(config(), SHAPE, ACTIONS, seed=1, device="cuda")
    acting = GraphedActing(agent.policy.snapshot(5), agent.exploration)
    obs = torch.randint(256, (64, *SHAPE), dtype=torch.uint8, device="cuda")

    def answered() -> list[int]:
        acting.ask(obs, 0.0, 0)
        actions: list[int] = acting.answer().tolist()
        return actions

    acting.refresh()
    before = [answered() for _ in range(6)]
    with torch.no_grad():
        for weight in agent.online.head.parameters():
            weight.neg_()
    assert [*before, answered()] == [before[0]] * 7
    acting.refresh()
    assert answered() == agent.q_values(obs).argmax(1).tolist()
    assert answered() != before[0]


def test_asking_and_uploading_do_not_wait_for_the_learner(no_waiting: Watch) -> None:
    settings = config(precision="bfloat16")
    agent, replay, updates, progress = built(settings, GraphedUpdates)
    acting, uploads = accelerator.build_acting(agent, 0), accelerator.build_uploads(agent.device)
    obs = torch.zeros(4, *SHAPE, dtype=torch.uint8).numpy()
    ends = torch.zeros(8, dtype=torch.bool).numpy()
    updates(WARM_UP + 4, progress)
    acting.refresh()
    for _ in range(6):
        acting.ask(obs, 0.5, 0)
        acting.answer()
    with no_waiting():
        acting.refresh()
        seen = acting.ask(obs, 0.5, 0)
        updates(4, progress)
        acting.answer()
        other, actions, reward, *flags = uploads(obs, ends.astype("int64"), ends.astype("float32"), ends, ends, ends)
        replay.add(torch.cat([seen, other]), actions, reward, *flags)


def test_arrays_arrive_whole_however_many_are_under_way() -> None:
    uploads = accelerator.build_uploads(torch.device("cuda"))
    busy = torch.rand(4000, 4000, device="cuda")
    sent, found = [], []
    for number in range(9):
        for _ in range(5):
            busy = busy @ busy  # what was uploaded is not read at once
        arrays = [
            torch.full((3, 5 + number), number, dtype=torch.uint8).numpy(),
            torch.rand(number + 1).numpy(),
            (torch.rand(7) < 0.5).numpy(),
            torch.randint(9, (2,)).numpy(),
        ]
        sent.append([array.copy() for array in arrays])
        found.append(uploads(*arrays))
        for array in arrays:
            array[...] = 0  # the caller's own again
    for before, after in zip(sent, found, strict=True):
        for array, tensor in zip(before, after, strict=True):
            assert torch.equal(tensor.cpu(), torch.as_tensor(array))


# The whole


def trained(folder: Path, env: str, steps: int, **settings: Any) -> Any:
    small = {"learning_starts": 200, "replay_capacity": 4000, "num_envs": 4, "checkpoint_steps": 500, **settings}
    return rlrun.train(env, steps=steps, directory=folder, evaluate=0, settings=small, device="cuda")


@pytest.mark.parametrize("env", ["CartPole-v1", "Pong", "Waterworld"])
def test_a_run_trains_and_is_resumed(tmp_path: Path, env: str) -> None:
    made = trained(tmp_path, env, 800, width=0.25, hidden="32")
    again = rlrun.train(resume=made.folder, steps=1200, evaluate=0)
    assert read_metrics(again.metrics)[-1]["step"] >= 1200


def test_a_run_in_turns_is_the_same_under_the_same_seed_to_the_bit() -> None:
    def weights() -> list[Tensor]:
        settings = config(num_envs=6, epsilon_steps=500)
        envs = rlrun.make("Breakout", 6, 0, "nature", device="cuda")
        try:
            agent = DQN(settings, SHAPE, 4, seed=1, device="cuda")
            replay = accelerator.build_replay(settings, SHAPE, torch.uint8, seed=2, device="cuda")
            progress = Progress.begin(envs.reset()[0])
            for _ in islice(train_as_they_step(agent, envs, replay, settings, progress), 150):
                pass
            assert progress.updates > 200
            return [weight.detach().clone() for weight in agent.online.parameters()]
        finally:
            envs.close()

    assert all(map(torch.equal, weights(), weights()))


def test_waterworlds_and_what_an_agent_sees_of_them_stay_on_the_device(tmp_path: Path) -> None:
    session = Session(trained(tmp_path, "Waterworld", 800, mlp_hidden="32", hidden="32"))
    try:
        assert isinstance(session.progress.obs, Tensor)
        assert session.progress.obs.device.type == "cuda"
        assert session.replay._ring.frames.device.type == "cuda"
    finally:
        session.close()


def test_cartpole_is_learned(tmp_path: Path) -> None:
    made = rlrun.train("CartPole-v1", steps=40_000, directory=tmp_path, evaluate=0, device="cuda")
    scores = [row["score"] for row in read_metrics(made.metrics) if row["kind"] == "episode"]
    assert sum(scores[-20:]) / 20 > 3 * sum(scores[:20]) / 20


def test_a_replay_too_large_for_the_gpu_goes_to_the_host_and_the_session_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trained(tmp_path, "Pong", 800, width=0.25, hidden="32")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (memory.PROCESS_BYTES, 0))
    session = Session(replace(made, settings=replace(made.settings, steps=1000)))
    try:
        assert any("pinned host memory" in note for note in session.notes)
        assert session.replay._ring.frames.device.type == "cpu"
        list(session.train())
        assert session.progress.step >= 1000
    finally:
        session.close()


def test_a_batch_is_laid_out_with_the_channels_last() -> None:
    batch: Batch = filled(config()).sample(32)
    assert batch.obs.is_contiguous(memory_format=torch.channels_last)
    assert batch.obs.dtype == torch.float32
