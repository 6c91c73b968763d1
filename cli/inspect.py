"""rlrun inspect: what goes on inside a trained network, one picture a question; `inspect` returns the arrays too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rich_click as click
from numpy.typing import NDArray

from .errors import USAGE, CommandError
from .run import Run

QUESTIONS = ("activations", "top", "optimal", "saliency", "dream", "style", "calibration")
IMAGES_ONLY = ("dream", "style")
STATES = 500


@dataclass(frozen=True)
class Inspection:
    """The answers to the questions asked."""

    sheets: dict[str, Path] = field(default_factory=dict)  # question -> picture
    arrays: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)  # question -> name -> numbers
    notes: dict[str, list[str]] = field(default_factory=dict)  # question -> sentences


@click.command()
@click.argument("run", metavar="RUN_OR_MODEL")
@click.argument("questions", nargs=-1, metavar="[QUESTION]...")
@click.option("--layer", help="The layer to ask about, by name; the body's last one by default.")
@click.option("--layers", "list_layers", is_flag=True, help="List the layers by name.")
@click.option("--input", "index", type=click.IntRange(0), default=0, show_default=True, help="Which input to show.")
@click.option("--output", help="The class or action to ask about, by name; what it chooses by default.")
@click.option("--steps", type=click.IntRange(1), help="Of each optimisation; a few hundred by default.")
@click.option("--states", type=click.IntRange(8), default=STATES, show_default=True, help="An agent is shown so many.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where MNIST's IDX files are now.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder for the pictures; the run's own by default.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
def command(run: str, questions: tuple[str, ...], list_layers: bool, **options: Any) -> None:
    """Look inside a classifier or an agent, one picture a question.

    RUN_OR_MODEL is a folder, a name, or `latest`. Questions: activations, top (stimuli among the test data, or among
    states of the agent's replay or, without one, freshly played), optimal (stimuli by optimisation), saliency, dream,
    style, calibration (does an agent get what it expects: max_a Q against the return that followed); all that fit if
    none is given.
    """
    if list_layers:
        from ..networks.probe import layer_names
        from .subject import subject_of

        found = subject_of(run, options["directory"], options["data_dir"], options["seed"], 8)
        print("\n".join(layer_names(found.network)))
        return
    answers = inspect(run, questions, **options)
    for question, path in answers.sheets.items():
        for note in answers.notes[question]:
            print(f"{question}: {note}")
        print(path)


def inspect(
    run: str | Path | Run,
    questions: Sequence[str] = (),
    *,
    layer: str | None = None,
    index: int = 0,
    output: str | None = None,
    steps: int | None = None,
    states: int = STATES,
    data_dir: str | Path | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    directory: str | Path = "runs",
) -> Inspection:
    """Answer `questions` about a run or a classifier as `rlrun inspect` does; return pictures, arrays and numbers.

    Arguments are the command's options. Raises CommandError, one sentence.
    """
    from matplotlib import rc_context

    from ..agents.config import nearest
    from ..networks.probe import ProbeError
    from .plot import STYLE
    from .sheets import SHEETS
    from .subject import Request, subject_of

    for question in questions:
        if question not in QUESTIONS:
            raise CommandError(f"unknown question {question!r}{nearest(question, QUESTIONS)}")
    name = run.folder if isinstance(run, Run) else run
    found = subject_of(name, Path(directory), data_dir, seed, states)
    if index >= len(found.x):
        raise CommandError(f"--input {index} is not there: the inputs are 0 to {len(found.x) - 1}")
    if output is not None and output not in found.outputs:
        raise CommandError(f"unknown output {output!r}{nearest(output, found.outputs)}")
    asked = list(questions) or [q for q in QUESTIONS if found.sees_images or q not in IMAGES_ONLY]
    folder = Path(out) if out is not None else found.folder / "inspect"
    folder.mkdir(parents=True, exist_ok=True)
    request = Request(
        layer=layer, index=index, output=None if output is None else found.outputs.index(output), steps=steps, seed=seed
    )
    answers = Inspection()
    for question in asked:
        path = folder / f"{question}.png"
        try:
            with rc_context(STYLE):
                arrays, notes = SHEETS[question](found, request, path)
        except ProbeError as error:
            if not questions:  # it was not asked for by name: this network has none
                continue
            raise CommandError(f"{question}: {error}", USAGE) from None
        answers.sheets[question], answers.arrays[question], answers.notes[question] = path, arrays, notes
    return answers
