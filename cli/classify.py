"""rlrun classify: from labelled examples to a tested and saved classifier; `classify` is the same for Python."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from .errors import ENVIRONMENT, CommandError
from .options import Count

if TYPE_CHECKING:
    from .model import Model
    from .scorecard import Result

NETWORKS = ("logistic", "mlp", "cnn", "lenet", "inception", "se-resnet", "nature")  # a test compares with `networks`


@click.command()
@click.option("--network", default="cnn", show_default=True, help=f"One of {', '.join(NETWORKS)}.")
@click.option(
    "--data", default="digits", show_default=True, metavar="NAME|PATH",
    help="digits, mnist, fashion, circle, spiral, simple, or a folder with a subfolder of images for each class.",
)  # fmt: skip
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where MNIST's or Fashion-MNIST's IDX files are.")
@click.option("--train-size", type=Count(), help="Learn from only so many examples, drawn by the seed.")
@click.option("--hidden", metavar="N,N", help="Units of the hidden layers, as 256,128.")
@click.option(
    "--dropout", is_flag=False, flag_value=0.5, default=0.0, type=float, show_default=True,
    help="Turn hidden neurons off with this probability while training; 0.5 if no number is given.",
)  # fmt: skip
@click.option("--augment/--no-augment", default=None, help="Shift, turn and scale images a little while training.")
@click.option("--epochs", type=Count(), help="Passes over the training data.")
@click.option("--batch-size", type=Count(), help="Examples a step.")
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="The largest step size.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Fit so often, with intervals.")
@click.option("--body-from", metavar="RUN", help="Stand on the trained body of an agent or of another classifier.")
@click.option("--freeze", is_flag=True, help="With --body-from: the body stays as it is, only the head learns.")
@click.option(
    "--taxonomy", type=click.Path(path_type=Path),
    help='Also answer coarsely, by a JSON file as {"even": ["0", "2"], "odd": ["1", "3"]}.',
)  # fmt: skip
@click.option("--threads", type=Count(), help="CPU threads; all cores by default.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON lines; the last one holds the accuracies.")
def command(hidden: str | None, threads: int | None, **options: Any) -> None:
    """Fit a classifier by maximum likelihood, test it on data held out, and save it.

    It prints train and test accuracy, log-likelihood, parameters, the confusion matrix and the worst mistakes, and
    draws them. `rlrun inspect` looks inside, `rlrun.load` opens it.
    """
    from .tuning import tune_process

    tune_process(threads or 0)
    classify(hidden=None if hidden is None else _widths(hidden), **options)


def classify(
    network: str = "cnn",
    data: str = "digits",
    *,
    data_dir: str | Path | None = None,
    train_size: int | None = None,
    hidden: Sequence[int] | None = None,
    dropout: float = 0.0,
    augment: bool | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    seeds: int = 1,
    body_from: str | Path | None = None,
    freeze: bool = False,
    taxonomy: str | Path | None = None,
    directory: str | Path = "runs",
    as_json: bool = False,
) -> Model:
    """Fit, test and save classifiers as `rlrun classify` does, with the same output; return the last one.

    Arguments are the command's options; None is the recipe's own value. Raises CommandError, one sentence.
    """
    from ..agents.config import nearest
    from ..networks.digits import NAMES, load_data
    from ..networks.idx import DataError
    from .lesson import Plan, fit_one
    from .scorecard import announce, announce_seeds

    if network not in NETWORKS:
        raise CommandError(f"unknown network {network!r}{nearest(network, NETWORKS)}")
    if freeze and body_from is None:
        raise CommandError("--freeze keeps the body of --body-from as it is: name one, as --body-from latest")
    if body_from is None and network == "logistic" and (hidden or dropout):
        raise CommandError("logistic regression has no hidden neurons: leave out --hidden and --dropout, or take mlp")
    try:
        found = load_data(data, data_dir)
        plan = Plan(
            network=network, source=data if data in NAMES else str(Path(data).resolve()),
            data_dir=None if data_dir is None else str(Path(data_dir).resolve()),
            hidden=None if hidden is None else tuple(hidden), dropout=dropout, augment=augment, epochs=epochs,
            batch_size=batch_size, learning_rate=learning_rate, body_from=body_from, freeze=freeze,
            taxonomy=None if taxonomy is None else read_taxonomy(Path(taxonomy), found.classes),
            directory=Path(directory), as_json=as_json,
        )  # fmt: skip
        results = []
        for number in range(seed, seed + seeds):
            drawn = found if train_size is None else found.with_train_size(train_size, number)
            result = fit_one(drawn, number, plan)
            results.append(result)
            if not as_json:
                announce(result)
    except DataError as error:
        raise CommandError(str(error), ENVIRONMENT) from None
    if as_json:
        print(json.dumps(summary(results)), flush=True)
    elif len(results) > 1:
        announce_seeds(summary(results))
    return results[-1].model


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """Return the closing line of --json: one seed's numbers, or the means of several with each seed's and intervals."""
    import numpy as np

    rows = [result.model.description for result in results]
    closing: dict[str, Any] = {
        "kind": "classification", "network": rows[0]["network"], "data": rows[0]["data"],
        "train_size": rows[0]["train_size"], "dropout": rows[0]["dropout"], "parameters": rows[0]["parameters"],
    }  # fmt: skip
    for key in ("test_accuracy", "train_accuracy", "test_log_likelihood", "seconds", "coarse_accuracy"):
        if rows[0].get(key) is None:
            continue
        values = [row[key] for row in rows]
        closing[key] = float(np.mean(values))
        if len(rows) > 1:
            from scipy.stats import t

            half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
            closing[f"{key}_interval"] = [closing[key] - half, closing[key] + half]  # Student's t, 95%
            closing[f"{key}_by_seed"] = values
    closing["seeds"] = [row["seed"] for row in rows]
    closing["folder"] = str(results[-1].model.folder)
    return closing


def read_taxonomy(path: Path, classes: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the coarse classes of a taxonomy file, and for each class the number of its coarse one.

    The file is JSON, a coarse name -> the fine names in it; every class must be in exactly one, else CommandError.
    """
    try:
        groups = json.loads(path.read_text())
        owner = [(str(fine), name) for name, members in groups.items() for fine in members]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        example = '{"even": ["0", "2"], "odd": ["1", "3"]}'
        raise CommandError(f"{path} is no taxonomy, as {example}: {error}", ENVIRONMENT) from None
    names = list(groups)
    for fine in classes:
        count = sum(each == fine for each, _ in owner)
        if count != 1:
            raise CommandError(f"{path} should name class {fine!r} once, not {count} times", ENVIRONMENT)
    strangers = [fine for fine, _ in owner if fine not in classes]
    if strangers:
        from ..agents.config import nearest

        hint = nearest(strangers[0], classes)
        raise CommandError(f"{path} names {strangers[0]!r}, which is no class{hint}", ENVIRONMENT)
    belongs = dict(owner)
    return names, [names.index(belongs[fine]) for fine in classes]


def _widths(text: str) -> tuple[int, ...]:
    """Return --hidden's widths; raise CommandError if they are none."""
    try:
        widths = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        widths = (0,)
    if min(widths, default=1) < 1:
        raise CommandError(f"--hidden {text} is not possible: it must be widths, as 256,128")
    return widths
