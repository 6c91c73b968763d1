"""Lesson: one classifier from its data to the saved model: what is fitted and how, the fit, the scores, the picture."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..networks.classifier import Classifier, classifier_on, coarsen, parameter_count
from ..networks.digits import Data
from ..networks.fit import Fitting, fit, score
from .errors import DIVERGED, CommandError
from .fitting import FitTeller
from .live import view
from .model import Model, build, new_folder
from .run import append_metrics
from .scorecard import Result, draw

NATURAL_DISTORTION = ("cnn", "lenet", "inception", "se-resnet", "nature")  # `augment` is their default on digits
LARGE = 5_000  # training examples


class Recipe(NamedTuple):
    """How long and how fast a fit goes."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    augment: bool
    hidden: tuple[int, ...] | None


def recipe(data: Data, network: str) -> Recipe:
    """Return what is done where nothing else is asked for."""
    if len(data.in_shape) != 3:
        # Points: what did best on validation draws (benchmarks/results/classify-points-selection.json).
        if data.name == "spiral":
            return Recipe(300, 10, 2e-2, 1e-4, False, (32, 32) if network == "mlp" else None)
        return Recipe(300, 10, 3e-2, 1e-1, False, None)
    augment = network in NATURAL_DISTORTION and data.name == "mnist"  # 8 x 8 pixels are too few to turn
    if len(data.train) >= LARGE:
        return Recipe(8, 128, 2e-3, 1e-4, augment, None)
    return Recipe(40, 32, 2e-3, 1e-4, augment, None)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What was asked for; None leaves a number to the recipe."""

    network: str
    source: str  # a name of `digits.NAMES`, or a folder
    data_dir: str | None
    hidden: tuple[int, ...] | None
    dropout: float
    augment: bool | None
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    body_from: str | Path | None
    freeze: bool
    taxonomy: tuple[list[str], list[int]] | None  # coarse names, and the number of each class's coarse one
    directory: Path
    as_json: bool

    def recipe(self, data: Data) -> Recipe:
        """Return how to fit: the usual recipe with what was asked for; raise CommandError where it makes no sense."""
        usual = recipe(data, self.network)
        chosen = usual._replace(
            epochs=self.epochs or usual.epochs,
            batch_size=self.batch_size or usual.batch_size,
            learning_rate=self.learning_rate or usual.learning_rate,
            augment=usual.augment if self.augment is None else self.augment,
            hidden=usual.hidden if self.hidden is None else self.hidden,
        )
        if chosen.augment and len(data.in_shape) != 3:
            raise CommandError("--augment turns and shifts images: leave it out for points")
        return chosen


def fit_one(data: Data, seed: int, plan: Plan) -> Result:
    """Fit, score, save and draw one classifier; raise CommandError, and leave nothing behind, if that fails."""
    chosen = plan.recipe(data)
    description: dict[str, Any] = {
        "network": plan.network if plan.body_from is None else "body-from", "data": data.name, "source": plan.source,
        "data_dir": plan.data_dir, "classes": list(data.classes), "in_shape": list(data.in_shape),
        "hidden": None if chosen.hidden is None else list(chosen.hidden), "dropout": plan.dropout, "body": None,
        "frozen": plan.freeze, "seed": seed, "train_size": len(data.train), "test_size": len(data.test),
        **{key: value for key, value in chosen._asdict().items() if key != "hidden"},
    }  # fmt: skip
    made = _untrained(data, seed, plan, description)
    folder = new_folder(plan.directory, f"{data.name}-{description['network']}-s{seed}")
    try:
        began = time.perf_counter()
        history = _fitted(
            made, data, seed, chosen, plan.as_json, f"{description['network']} on {data.name}, seed {seed}"
        )
        seconds = time.perf_counter() - began
        train, test = score(made, data.train), score(made, data.test)
        description |= {
            "parameters": parameter_count(made), "seconds": seconds,
            "train_accuracy": train.accuracy, "test_accuracy": test.accuracy,
            "train_log_likelihood": train.log_likelihood, "test_log_likelihood": test.log_likelihood,
        }  # fmt: skip
        if plan.taxonomy is not None:
            coarse_of = torch.tensor(plan.taxonomy[1])
            guess = coarsen(test.probabilities, coarse_of).argmax(1)
            description["coarse_accuracy"] = float((guess == coarse_of[data.test.y]).float().mean())
            description["taxonomy"] = {"names": plan.taxonomy[0], "coarse_of": plan.taxonomy[1]}
        result = Result(Model(made, description, folder), data, history, train, test)
        result.model.save()
        append_metrics(folder / "metrics.jsonl", [vars(fitting) for fitting in history])
        draw(result, folder / "classify.png")
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
        raise
    return result


def _untrained(data: Data, seed: int, plan: Plan, description: dict[str, Any]) -> Classifier:
    """Return the classifier before the fit, and note in `description` what body it stands on."""
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            if plan.body_from is None:
                return build(description)
            from .reuse import body_of

            body, description["body"] = body_of(plan.body_from, plan.directory)
            return classifier_on(
                body, data.in_shape, len(data.classes),
                hidden=description["hidden"] or (), dropout=plan.dropout, frozen=plan.freeze,
            )  # fmt: skip
    except ValueError as error:
        raise CommandError(str(error)) from None


def _fitted(made: Classifier, data: Data, seed: int, chosen: Recipe, as_json: bool, title: str) -> list[Fitting]:
    """Fit `made` in place and show it; return how it went."""
    history = []
    with view(as_json, title, FitTeller(title), leave=False) as shown:
        for fitting in fit(
            made, data.train, data.test, epochs=chosen.epochs, batch_size=chosen.batch_size,
            learning_rate=chosen.learning_rate, weight_decay=chosen.weight_decay, augment=chosen.augment, seed=seed,
        ):  # fmt: skip
            if fitting.log_likelihood != fitting.log_likelihood:  # NaN
                raise CommandError("the fit diverged: take a smaller --learning-rate", DIVERGED)
            history.append(fitting)
            shown.show(fitting)
    return history
