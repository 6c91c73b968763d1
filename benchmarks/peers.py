"""Peers: the same work done by rlrun, Stable-Baselines3, Tianshou and TorchRL, each as its own documentation does it.

Every side runs until its watch says that it is over, and returns its network's number of weights.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

from work import DISCOUNT, EPSILON, MAX_GRAD_NORM, Watch, Work


class Over(Exception):
    """Raised out of a peer's training that has no other way to be stopped between two steps."""


def run_rlrun(work: Work, watch: Watch, num_envs: int, threads: int, precision: str = "float32") -> int:
    """Run rlrun's own loop."""
    import torch
    from steady import script_at_once

    from rlrun import make
    from rlrun.agents.accelerator import build_replay
    from rlrun.agents.dqn import DQN
    from rlrun.agents.presets import preset
    from rlrun.agents.train import Progress, train
    from rlrun.cli.tuning import tune_process

    tune_process(threads)
    script_at_once()
    config = preset(work.preset).with_settings(
        {
            "num_envs": num_envs,
            "precision": precision,
            "discount": DISCOUNT,
            "batch_size": work.batch,
            "steps_per_update": work.steps_per_update,
            "learning_starts": work.learning_starts,
            "replay_capacity": work.capacity,
            "target_period_updates": work.target_updates,
            "learning_rate": work.learning_rate,
            "learning_rate_end": work.learning_rate,
            "optimizer_eps": work.adam_eps,
            "max_grad_norm": MAX_GRAD_NORM,
            "epsilon_start": EPSILON,
            "epsilon_end": EPSILON,
            **work.settings,
        }
    )
    envs = make(work.world, num_envs, 0, "nature" if work.pixels else "machado", num_threads=threads)
    try:
        shape = envs.single_observation_space.shape
        agent = DQN(config, shape, int(envs.single_action_space.n), seed=0)
        replay = build_replay(config, shape, torch.uint8 if work.pixels else torch.float32)
        for progress in train(agent, envs, replay, config, Progress.begin(envs.reset()[0])):
            if watch.over(progress.step):
                break
    finally:
        envs.close()
    return _weights(agent.online)


def run_sb3(work: Work, watch: Watch, num_envs: int, threads: int) -> int:
    """Run Stable-Baselines3's DQN, by its `learn`."""
    import ale_py
    import gymnasium
    from stable_baselines3 import DQN
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_atari_env, make_vec_env
    from stable_baselines3.common.vec_env import VecFrameStack

    class Listener(BaseCallback):
        def _on_step(self) -> bool:
            return not watch.over(self.num_timesteps)

    gymnasium.register_envs(ale_py)
    if work.pixels:
        envs = VecFrameStack(make_atari_env(work.peer_world, n_envs=num_envs, seed=0), 4)
    else:
        envs = make_vec_env(work.peer_world, n_envs=num_envs, seed=0)
    policy: dict[str, Any] = {"optimizer_kwargs": {"eps": work.adam_eps}}
    model = DQN(
        "CnnPolicy" if work.pixels else "MlpPolicy",
        envs,
        learning_rate=work.learning_rate,
        buffer_size=work.capacity,
        learning_starts=work.learning_starts,
        batch_size=work.batch,
        gamma=DISCOUNT,
        train_freq=work.steps_per_update,  # steps of all worlds at once ...
        gradient_steps=num_envs,  # ... so this is one update for so many agent steps, whatever their number
        target_update_interval=work.target_updates * work.steps_per_update,
        max_grad_norm=MAX_GRAD_NORM,
        exploration_initial_eps=EPSILON,
        exploration_final_eps=EPSILON,
        optimize_memory_usage=False,
        policy_kwargs=policy if work.pixels else {**policy, "net_arch": list(work.hidden)},
        seed=0,
        device="cpu",
        verbose=0,
    )
    model.learn(10**9, callback=Listener(), log_interval=None)
    envs.close()
    return _weights(model.policy.q_net)


def run_tianshou(work: Work, watch: Watch, num_envs: int, threads: int) -> int:
    """Run Tianshou's DQN, by its `OffPolicyTrainer`."""
    import gymnasium
    from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.trainer import OffPolicyTrainer, OffPolicyTrainerParams
    from tianshou.utils.net.common import Net

    class Clipped(DQN):
        """Its DQN clips no gradients, but its optimiser can."""

        def _create_policy_optimizer(self, optim: Any) -> Any:
            return self._create_optimizer(self.policy, optim, max_grad_norm=MAX_GRAD_NORM)

    def one() -> gymnasium.Env[Any, Any]:
        return _bare_env(work)

    envs = DummyVectorEnv([one] * num_envs)
    actions = envs.action_space[0]
    if work.pixels:
        from tianshou.env.atari.atari_network import DQNet, ScaledObsInputActionReprNet

        net = ScaledObsInputActionReprNet(DQNet(c=4, h=84, w=84, action_shape=[actions.n]))
    else:
        net = Net(state_shape=envs.observation_space[0].shape, action_shape=actions.n, hidden_sizes=list(work.hidden))
    algorithm = Clipped(
        policy=DiscreteQLearningPolicy(model=net, action_space=actions, eps_training=EPSILON),
        optim=AdamOptimizerFactory(lr=work.learning_rate, eps=work.adam_eps),
        gamma=DISCOUNT,
        n_step_return_horizon=1,
        target_update_freq=work.target_updates,
        is_double=False,
        huber_loss_delta=1.0,
    )
    frames = {"ignore_obs_next": True, "save_only_last_obs": True, "stack_num": 4} if work.pixels else {}
    buffer = VectorReplayBuffer(work.capacity, buffer_num=num_envs, **frames)
    collector = Collector(algorithm, envs, buffer, exploration_noise=True)
    collector.reset()
    collector.collect(n_step=work.learning_starts)

    def listen(_epoch: int, env_step: int) -> None:
        if watch.over(work.learning_starts + env_step):
            raise Over

    params = OffPolicyTrainerParams(
        training_collector=collector,
        max_epochs=1,
        epoch_num_steps=10**9,
        collection_step_num_env_steps=work.steps_per_update * num_envs,
        update_step_num_gradient_steps_per_sample=1 / work.steps_per_update,
        batch_size=work.batch,
        training_fn=listen,
        verbose=False,
        show_progress=False,
    )
    with contextlib.suppress(Over):
        OffPolicyTrainer(algorithm, params).run()
    envs.close()
    return _weights(net)


def run_torchrl(work: Work, watch: Watch, num_envs: int, threads: int) -> int:
    """Run TorchRL's collector, replay, loss and target updater in the loop that its DQN examples write out."""
    import torch
    from tensordict.nn import TensorDictSequential
    from torch import nn
    from torchrl.collectors import Collector
    from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
    from torchrl.envs import GymWrapper, SerialEnv, TransformedEnv
    from torchrl.envs.transforms import StepCounter
    from torchrl.modules import MLP, ConvNet, EGreedyModule, QValueActor
    from torchrl.objectives import DQNLoss, HardUpdate

    warnings.filterwarnings("ignore", module="torchrl|tensordict")

    def one() -> Any:
        # Categorical actions: numbers, as everywhere else here.
        return TransformedEnv(GymWrapper(_bare_env(work), categorical_action_encoding=True), StepCounter())

    class Bytes(nn.Module):
        """Pixels as numbers from 0 to 1; its own transform would keep floats in the replay, four times the memory."""

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels.float() / 255

    envs = one() if num_envs == 1 else SerialEnv(num_envs, one)
    action_spec = envs.full_action_spec_unbatched["action"]
    count = action_spec.space.n
    if work.pixels:
        body = ConvNet(
            in_features=4,
            num_cells=[32, 64, 64],
            kernel_sizes=[8, 4, 3],
            strides=[4, 2, 1],
            activation_class=nn.ReLU,
        )
        head = MLP(in_features=3136, out_features=count, num_cells=list(work.hidden), activation_class=nn.ReLU)
        net: nn.Module = nn.Sequential(Bytes(), body, head)
    else:
        size = envs.observation_spec["observation"].shape[-1]
        net = MLP(in_features=size, out_features=count, num_cells=list(work.hidden), activation_class=nn.ReLU)
    actor = QValueActor(net, in_keys=["observation"], spec=action_spec)
    greedy = EGreedyModule(spec=action_spec, eps_init=EPSILON, eps_end=EPSILON, annealing_num_steps=1)
    collector = Collector(
        create_env_fn=envs,
        policy=TensorDictSequential(actor, greedy),
        frames_per_batch=work.steps_per_update * num_envs,
        total_frames=-1,
        init_random_frames=0,
    )
    replay = TensorDictReplayBuffer(storage=LazyTensorStorage(work.capacity), batch_size=work.batch)
    loss = DQNLoss(actor, loss_function="smooth_l1", delay_value=True, action_space="categorical", double_dqn=False)
    loss.make_value_estimator(gamma=DISCOUNT)
    target = HardUpdate(loss, value_network_update_interval=work.target_updates)
    optimiser = torch.optim.Adam(loss.parameters(), lr=work.learning_rate, eps=work.adam_eps)
    steps = 0
    for data in collector:
        replay.extend(data.reshape(-1))
        steps += data.numel()
        if steps > work.learning_starts:
            for _ in range(num_envs):
                value = loss(replay.sample())["loss"]
                optimiser.zero_grad()
                value.backward()
                nn.utils.clip_grad_norm_(loss.parameters(), MAX_GRAD_NORM)
                optimiser.step()
                target.step()
        if watch.over(steps):
            break
    collector.shutdown()
    return _weights(net)


RUNS: dict[str, Callable[[Work, Watch, int, int], int]] = {
    "sb3": run_sb3,
    "tianshou": run_tianshou,
    "torchrl": run_torchrl,
}


def _bare_env(work: Work) -> Any:
    """Return one world as gymnasium itself makes and wraps it, for a peer without wrappers that run.

    Tianshou's own ask numpy for a dtype that it no longer makes; TorchRL's keep floats. A lost life resets the game.
    """
    import ale_py
    import gymnasium
    from gymnasium.wrappers import AtariPreprocessing, ClipReward, FrameStackObservation

    gymnasium.register_envs(ale_py)
    env = gymnasium.make(work.peer_world)
    if not work.pixels:
        return env
    env = AtariPreprocessing(env, noop_max=30, terminal_on_life_loss=True)
    return FrameStackObservation(ClipReward(env, -1.0, 1.0), 4)


def _weights(network: Any) -> int:
    return sum(weight.numel() for weight in network.parameters())
