"""Session: one process's work on a run: builds world, agent and replay, trains, reports, saves and goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from ..agents import accelerator
from ..agents import checkpoint as checkpoints
from ..agents.checkpoint import Checkpoint
from ..agents.frame_log import FrameLog, restore_frames
from ..agents.presets import preset
from ..agents.progress import Progress
from ..agents.turns import train_as_they_step
from ..agents.window import Window, windowed
from ..envs import World, make
from . import memory
from .errors import DIVERGED, ENVIRONMENT, RESOURCES, CommandError
from .estimate import seconds_for
from .processor import against_bfloat16, precision_notes
from .report import Report
from .run import Run, append_metrics
from .running_score import RunningScore
from .tuning import tune_process

KEEP = 2  # checkpoints, beside the best
BEST = "best"


class Session:
    """A run being trained in this process."""

    def __init__(self, run: Run, threads: int = 0, *, shrink_replay: bool = False) -> None:
        """Build everything that the run's settings name; raise what cannot be, before anything is reserved."""
        self.run, self.config = run, run.config
        self.notes: list[str] = []  # one sentence each, for the person
        settings = run.settings
        tune_process(threads)
        self.device = torch.device(settings.device)
        self.envs: World | Window = windowed(
            make(
                settings.env,
                self.config.num_envs,
                settings.seed,
                settings.protocol,
                num_threads=threads,
                device=settings.device,
            ),
            self.config,
        )
        space = self.envs.single_observation_space
        shape: tuple[int, ...] = tuple(space.shape or ())
        dtype = torch.uint8 if space.dtype == np.uint8 else torch.float32
        free = memory.available_bytes(), 0
        if self.device.type == "cuda":
            if self.device.index is not None:
                torch.cuda.set_device(self.device)  # where kernels and graphs are launched
            host = memory.lockable_bytes(free[0]) if accelerator.can_pin(self.device, shape, dtype) else 0
            free = torch.cuda.mem_get_info(self.device)[0], host
        if shrink_replay:
            self._shrink_replay(memory.fitting_capacity(self.config, shape, dtype.itemsize, max(free)))
        self.memory_bytes = memory.check(self.config, shape, dtype.itemsize, max(free))
        pinned = memory.overflows(self.config, shape, dtype.itemsize, *free)
        if pinned:
            self.notes.append(memory.pinned_note(self.config, shape, dtype.itemsize, free[0]))
        if self.device.type == "cpu" and (against := against_bfloat16()):
            self.notes += precision_notes(self.config, preset(settings.preset), against)
        actions = int(self.envs.single_action_space.n)  # type: ignore[union-attr]
        self.agent = accelerator.build_agent(self.config, shape, actions, seed=settings.seed, device=self.device)
        self.replay = accelerator.build_replay(
            self.config,
            shape,
            dtype,
            seed=settings.seed,
            device=self.device,
            pinned=pinned,
            counterpart=self.envs.counterpart,
        )
        self._updates = accelerator.build_updates(self.agent, self.replay, self.config)
        run.note_world(
            {
                "name": self.envs.name,
                "obs_shape": list(shape),
                "actions": actions,
                "action_names": list(self.envs.action_names),
                "frames_per_step": self.envs.frames_per_step,
            }
        )
        self.seconds = 0.0
        self.scores = RunningScore()
        self.last_checkpoint = ""
        self._frame_log = FrameLog(run.folder / "frames")
        self._rows: list[dict[str, Any]] = []
        self.progress = self._restore() or Progress.begin(self.envs.reset()[0])

    def _shrink_replay(self, fits: int) -> None:
        """Make the replay, and the run's config with it, no larger than `fits` steps."""
        if self.config.learning_starts < fits < self.config.replay_capacity:
            self.notes.append(f"the replay is shrunk from {self.config.replay_capacity:,} to {fits:,} steps to fit")
            self.config = replace(self.config, replay_capacity=fits)
            self.run = Run(self.run.folder, self.run.settings, self.config)

    def estimate(self) -> float:
        """Return about how many seconds the rest of the budget of steps will take here."""
        return seconds_for(self.run.settings.steps, self.agent, self.replay.obs_dtype, self.progress)

    def _restore(self) -> Progress | None:
        """Go on from the newest good checkpoint; None if there is none at all."""
        checkpoint, refused = checkpoints.newest(self.run.checkpoints)
        self.notes += [f"refused: {reason}" for reason in refused]
        if checkpoint is None:
            if refused:
                raise CommandError(f"no checkpoint of {self.run.folder} can be used: {refused[0]}", ENVIRONMENT)
            return None
        state = checkpoint.state()
        self.agent.load({part: checkpoint.tensors(part) for part in ("weights", "target", "optimiser")})
        replay = checkpoint.tensors("replay")
        last_obs = replay.pop("obs")
        self.replay.load(replay)
        restore_frames(checkpoint, self.replay)
        self._frame_log = FrameLog(self.run.folder / "frames", checkpoint.manifest["shared"])
        obs, restored = self.envs.load_state_dict(state["envs"])
        counters = state["progress"]
        progress = Progress.begin(obs)
        progress.score[:], progress.length[:] = counters["score"], counters["length"]
        progress.step, progress.updates, progress.episodes = (counters[k] for k in ("step", "updates", "episodes"))
        progress.seconds.update(counters["seconds"])
        if not restored.all():
            self.replay.close_episodes(last_obs.to(self.device))
            progress.restart_episodes(self.envs.reset()[0] if restored.any() else obs)
        self.seconds = state["seconds"]
        self.scores.load(state)
        self.last_checkpoint = checkpoint.folder.name
        self.notes.append(f"resumed at step {progress.step:,} from {checkpoint.folder}")
        return progress

    def save(self) -> Checkpoint:
        """Write a checkpoint, and the best weights if the score is the best so far.

        Raises:
            CommandError: the weights are no numbers (5), or there is no space (4); the last checkpoint stays.

        """
        self._flush_metrics()
        parts = self.agent.state()
        if not checkpoints.finite(parts["weights"]):
            raise CommandError(self._diverged("the weights hold NaN or infinite numbers"), DIVERGED)
        progress, leads = self.progress, self.scores.takes_lead()
        state = {
            "progress": {
                "step": progress.step,
                "updates": progress.updates,
                "episodes": progress.episodes,
                "score": progress.score.tolist(),
                "length": progress.length.tolist(),
                "seconds": progress.seconds,
            },
            "seconds": self.seconds,
            **self.scores.state(),
            "envs": self.envs.state_dict(),
        }
        replay = {**self.replay.state(), "obs": torch.as_tensor(progress.obs)}
        folder = self.run.checkpoints / f"step_{progress.step:012d}"
        try:
            shared = self._frame_log.append(self.replay)
            saved = checkpoints.write(folder, progress.step, {**parts, "replay": replay}, state, shared)
            if leads:
                weights = {"weights": parts["weights"]}
                checkpoints.write(self.run.checkpoints / BEST, progress.step, weights, {"score": self.scores.mean}, [])
        except OSError as error:
            kept = self.last_checkpoint or "none yet"
            raise CommandError(
                f"the checkpoint at step {progress.step:,} could not be written to {self.run.folder}: "
                f"{(error.strerror or str(error)).lower()}; the last good one stays: {kept}",
                RESOURCES,
            ) from None
        self.last_checkpoint = folder.name
        checkpoints.prune(self.run.checkpoints, KEEP)
        return saved

    def train(self, every: float = 1.0) -> Iterator[Report]:
        """Train until the budget is spent, yielding a report about every `every` seconds and at the end.

        The consumer may stop at any report: the state is then whole, and `save` keeps it.

        Raises:
            CommandError: the loss is no number any more (5), or a checkpoint could not be written (4).

        """
        settings, progress = self.run.settings, self.progress
        before, start = self.seconds, time.perf_counter()
        next_save = (progress.step // self.config.checkpoint_steps + 1) * self.config.checkpoint_steps
        if self.fraction() >= 1.0:
            return
        shown, shown_step = self.seconds, progress.step
        steps = train_as_they_step(self.agent, self.envs, self.replay, self.config, progress, self._updates)
        for number, _ in enumerate(steps):
            self.seconds = before + time.perf_counter() - start
            if number == 0:  # what is compiled for the first step says nothing of the speed
                shown, shown_step = self.seconds, progress.step
            for episode in progress.finished:
                self.scores.add(episode.score)
                self._rows.append({"kind": "episode", **asdict(episode), "seconds": round(self.seconds, 2)})
            done = (settings.steps and progress.step >= settings.steps) or (
                settings.minutes and self.seconds >= 60 * settings.minutes
            )
            if done or self.seconds - shown >= every:
                speed = (progress.step - shown_step) / max(self.seconds - shown, 1e-9)
                shown, shown_step = self.seconds, progress.step
                yield self._report(speed)
            if progress.step >= next_save and not done:
                next_save += self.config.checkpoint_steps
                self.save()
            if done:
                break
        self.save()

    def fraction(self) -> float:
        """Return the share of the budget that is spent; 0 without a budget."""
        settings = self.run.settings
        shares = [0.0]
        if settings.steps:
            shares.append(self.progress.step / settings.steps)
        if settings.minutes:
            shares.append(self.seconds / (60 * settings.minutes))
        return max(shares)

    def _report(self, speed: float) -> Report:
        """Drain what the device has summed up, write it to the metrics and return it."""
        progress = self.progress
        loss, q = self.agent.drain() or (None, None)
        if loss is not None and not np.isfinite(loss):
            self._flush_metrics()
            raise CommandError(self._diverged(f"the loss is {loss}"), DIVERGED)
        total = sum(progress.seconds.values()) or 1.0
        fraction = self.fraction()
        settings = self.run.settings
        ahead = [(settings.steps - progress.step) / speed] if settings.steps and speed else []
        ahead += [60 * settings.minutes - self.seconds] if settings.minutes else []
        report = Report(
            step=progress.step,
            frames=progress.step * self.envs.frames_per_step,
            updates=progress.updates,
            episodes=progress.episodes,
            seconds=round(self.seconds, 2),
            score=self.scores.mean,
            epsilon=self.config.epsilon(progress.step),
            loss=loss,
            q=q,
            steps_per_second=speed,
            fraction=min(fraction, 1.0),
            eta=max(0.0, min(ahead)) if ahead else None,
            sections={name: seconds / total for name, seconds in progress.seconds.items()},
            checkpoint=self.last_checkpoint,
        )
        self._rows.append({"kind": "progress", **asdict(report)})
        self._flush_metrics()
        return report

    def _flush_metrics(self) -> None:
        rows, self._rows = self._rows, []
        append_metrics(self.run.metrics, rows)

    def _diverged(self, what: str) -> str:
        return (
            f"training diverged at step {self.progress.step:,}: {what}; the last good checkpoint is "
            f"{self.last_checkpoint or 'none'}; a smaller learning_rate may help, as "
            f"--set learning_rate={self.config.learning_rate / 3:.2g}"
        )

    def close(self) -> None:
        """Write what was not yet logged, and stop the emulators."""
        self._flush_metrics()
        self.envs.close()
