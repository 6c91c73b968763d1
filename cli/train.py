"""rlrun train: from a name to a trained, evaluated and saved agent; `train` is the same for Python."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ..agents.presets import PRESETS, preset
from .errors import CommandError
from .options import Count, budget_settings, computing_device, read_config, split_settings, usual
from .processor import against_bfloat16
from .run import Run, Settings

if TYPE_CHECKING:
    from .live import View
    from .report import Report
    from .session import Session

CPU_STEPS, GPU_STEPS = 1_000_000, 10_000_000  # the budgets when none is given, agent steps


@click.command("train")
@click.option("--env", help="What to train on: Breakout, CartPole-v1, module:Class ... (see rlrun envs).")
@click.option("--steps", type=Count(), help="Budget in agent steps, as 500k or 10M.")
@click.option("--frames", type=Count(), help="Budget in emulator frames: 4 to an agent step on Atari.")
@click.option("--minutes", type=float, help="Budget in minutes of training.")
@click.option("--preset", help=f"Settings to start from: {', '.join(PRESETS)} (see rlrun presets).")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting; repeatable. learning_rate takes learning_rate_end along, unless that is set too.",
)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="A TOML file of settings.")
@click.option("--protocol", help="Atari only: machado (sticky actions, default) or nature (no-op starts, lives).")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@click.option("--device", help="cpu or cuda; the GPU by default where there is one.")
@click.option("--envs", "num_envs", type=Count(), help="Worlds that step at once.")
@click.option("--threads", type=Count(), help="CPU threads; all cores by default.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="The folder of runs.",
)
@click.option("--resume", metavar="RUN", help="Go on with a run: its folder, its name or latest.")
@click.option("--body-from", metavar="RUN", help="Start from the body of another run, or of a classifier.")
@click.option(
    "--evaluate",
    "episodes",
    type=click.IntRange(0),
    help="Episodes played at the end; 0 for none.  [default: 100; in Waterworld 10]",
)
@click.option("--shrink-replay", is_flag=True, help="Shrink the replay to what fits in memory instead of refusing.")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard files into the run (needs the extra).")
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of pictures.")
def command(**options: Any) -> int:
    """Train an agent, save it, and tell how good it is."""
    return _train(**options)[1]


def train(
    env: str | None = None,
    *,
    steps: int | None = None,
    frames: int | None = None,
    minutes: float | None = None,
    preset: str | None = None,
    settings: dict[str, Any] | None = None,
    protocol: str | None = None,
    seed: int = 0,
    device: str | None = None,
    num_envs: int | None = None,
    directory: str | Path = "runs",
    resume: str | Path | None = None,
    body_from: str | Path | None = None,
    evaluate: int | None = None,
) -> Run:
    """Train as `rlrun train` does, with the same progress, and return the run.

    Args:
        env: as `rlrun.make` takes it; None to resume.
        steps: budget in agent steps; frames: the same in emulator frames; minutes: in minutes of training.
        preset: see `rlrun presets`; settings: changes to it by field name.
        protocol: "machado" or "nature", for Atari.
        seed: of everything random.
        device: "cpu" or "cuda".
        num_envs: worlds that step at once.
        directory: the folder of runs.
        resume: a run to go on with.
        body_from: a run or a classifier whose body's weights this agent starts from.
        evaluate: episodes played at the end; None for as many as is usual, 0 for none.

    Raises:
        CommandError: as the command ends, one sentence.
        KeyboardInterrupt: after Ctrl-C, when all is saved.

    """
    run, code = _train(
        env=env,
        steps=steps,
        frames=frames,
        minutes=minutes,
        preset=preset,
        sets=settings or {},
        protocol=protocol,
        seed=seed,
        device=device,
        num_envs=num_envs,
        directory=Path(directory),
        resume=None if resume is None else str(resume),
        body_from=body_from,
        episodes=evaluate,
    )
    if code:
        raise KeyboardInterrupt
    return run


def _train(
    *,
    env: str | None,
    steps: int | None,
    frames: int | None,
    minutes: float | None,
    preset: str | None,
    sets: tuple[str, ...] | dict[str, Any],
    protocol: str | None,
    seed: int,
    device: str | None,
    num_envs: int | None,
    directory: Path,
    resume: str | None,
    episodes: int | None,
    body_from: str | Path | None = None,
    config_file: Path | None = None,
    threads: int | None = None,
    shrink_replay: bool = False,
    tensorboard: bool = False,
    as_json: bool = False,
) -> tuple[Run, int]:
    """Do all that the command does; return the run and the exit code."""
    budget = budget_settings(steps, frames, minutes)
    if resume is not None:
        fixed = {
            "--env": env,
            "--preset": preset,
            "--set": sets,
            "--protocol": protocol,
            "--envs": num_envs,
            "--config": config_file,
            "--body-from": body_from,
        }
        given = [name for name, value in fixed.items() if value]
        if given:
            raise CommandError(f"--resume takes all settings from the run: leave out {' and '.join(given)}")
        run = Run.find(resume, directory)
        run = Run(
            run.folder,
            replace(run.settings, **budget, device=computing_device(device) if device else run.settings.device),
            run.config,
        )
    else:
        if env is None:
            raise CommandError("what should it train on? Give --env, as --env Breakout, or --resume a run")
        run = _new_run(env, budget, preset, sets, config_file, protocol, seed, device, num_envs, directory)
    from ..envs.catalogue import find
    from .live import view
    from .report import ReportTeller
    from .stopper import Stopper

    fresh = resume is None
    title = find(run.settings.env).title
    with (
        run.locked(),
        Stopper() as stopper,
        view(as_json, f"{title} · {run.folder.name}", ReportTeller()) as shown,
        contextlib.ExitStack() as stack,
    ):
        shown.say(f"{'training' if fresh else 'training on'} {title}{_circumstances(run)}")
        from .reuse import start_from
        from .session import Session  # with all of torch behind it: after the first line, not before
        from .tensorboard import tensorboard_writer

        try:
            write = stack.enter_context(tensorboard_writer(run)) if tensorboard else None
            session = stack.enter_context(contextlib.closing(Session(run, threads or 0, shrink_replay=shrink_replay)))
            if body_from is not None:
                start_from(session.agent, body_from, directory)
                session.notes.append(f"its body starts with the weights of {body_from}")
        except BaseException:
            if fresh:
                shutil.rmtree(run.folder, ignore_errors=True)  # nothing has happened in it
            raise
        run = session.run
        run.write_settings()
        _introduce(session, shown)
        for report in session.train():
            shown.show(report)
            if write is not None:
                write(report)
            if stopper.signal is not None:
                shown.say("stopping: saving a checkpoint; press Ctrl-C again to quit at once without it")
                session.save()
                shown.say(f"saved; go on with: rlrun train --resume {run.folder}")
                return run, stopper.exit_code
        shown.say(f"trained {session.progress.step:,} steps; saved in {run.folder}")
    if episodes != 0:
        from .evaluate import conclude

        conclude(run, episodes, as_json)
    return run, 0


def _new_run(
    env: str,
    budget: dict[str, Any],
    preset_name: str | None,
    sets: tuple[str, ...] | dict[str, Any],
    config_file: Path | None,
    protocol: str | None,
    seed: int,
    device: str | None,
    num_envs: int | None,
    directory: Path,
) -> Run:
    """Return a new run's folder, after everything that can be checked without building it."""
    from ..envs.catalogue import find
    from ..envs.protocol import protocol_named

    found = find(env)
    settings = dict(sets) if isinstance(sets, dict) else split_settings(sets)
    computing = computing_device(device)
    base = preset_name or usual(found).preset
    if base == "fast" and computing.startswith("cuda"):
        base = "fast-gpu"
    config = preset(base)
    slower = computing == "cpu" and against_bfloat16()
    if slower or found.kind != "atari":  # bfloat16 is no faster where nothing is convolved
        config = replace(config, precision="float32")
    if config_file is not None:
        config = config.with_settings(read_config(config_file))
    config = config.with_settings(settings)
    if num_envs:
        config = replace(config, num_envs=num_envs)
    name = "none"
    if found.kind == "atari":
        name = protocol or "machado"
        protocol_named(name)
    if not any(budget.values()):
        budget = {**budget, "steps": GPU_STEPS if computing.startswith("cuda") else CPU_STEPS}
    chosen = Settings(env=found.id, protocol=name, seed=seed, preset=base, device=computing, **budget)
    return Run.create(directory, chosen, config)


def _circumstances(run: Run) -> str:
    """Return how and where a run is trained, as the end of a sentence."""
    settings = run.settings
    protocol = f" ({settings.protocol} protocol)" if settings.protocol != "none" else ""
    return f"{protocol}, preset {settings.preset}, seed {settings.seed}, on {settings.device}, in {run.folder}"


def _introduce(session: Session, shown: View[Report]) -> None:
    """Say how much memory and time it takes, and how to stop, watch and go on."""
    from .live import duration

    run, settings = session.run, session.run.settings
    for note in session.notes:
        shown.say(note)
    shown.say(f"it will use up to {session.memory_bytes / 1e9:.1f} GB of memory")
    if session.fraction() >= 1.0:
        shown.say("its budget is already spent: give a larger one with --steps or --minutes to train on")
        return
    if settings.minutes:
        shown.say(f"it will train for {settings.minutes:g} minutes in all")
    if settings.steps:
        seconds = session.estimate()
        shown.say(f"{settings.steps:,} agent steps will take about {duration(seconds)} here")
    shown.say(
        f"stop: Ctrl-C (it saves first) | watch: rlrun watch {run.folder} | go on: rlrun train --resume {run.folder}"
    )
