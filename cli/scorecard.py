"""The scorecard of a classifier: what is printed and drawn of how well it does, and where it errs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .live import duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from ..networks.digits import Data
    from ..networks.fit import Fitting, Score
    from .model import Model

WORST = 12  # mistakes shown
COLUMNS = 100  # of a confusion matrix in text
SHOWN_CLASSES = 20  # a confusion matrix of more is drawn but not printed


@dataclass(frozen=True)
class Result:
    """A fitted classifier and how it does."""

    model: Model
    data: Data
    history: Sequence[Fitting]
    train: Score
    test: Score


def announce(result: Result) -> None:
    """Print the accuracies, the confusion matrix and the worst mistakes."""
    about = result.model.description
    print(
        f"{about['network']} on {about['data']}, seed {about['seed']}: {about['parameters']:,} parameters, "
        f"{about['train_size']:,} examples to learn from, {duration(about['seconds'])}"
    )
    print(f"test      {_right(result.test.accuracy, about['test_size'])}, {_likelihood(result.test)}")
    print(f"training  {_right(result.train.accuracy, about['train_size'])}, {_likelihood(result.train)}")
    if "coarse_accuracy" in about:
        names = ", ".join(about["taxonomy"]["names"])
        print(f"coarse    {_right(about['coarse_accuracy'], about['test_size'])} as {names}")
    if len(result.data.classes) <= SHOWN_CLASSES:
        print("\n".join(confusion_lines(result.test.confusion.tolist(), result.data.classes)))
    classes, y = result.data.classes, result.data.test.y
    for index in result.test.worst(y, 5):
        p = result.test.probabilities[index]
        print(
            f"test example {index}: {classes[int(p.argmax())]} with {float(p.max()):.1%}, but it is "
            f"{classes[int(y[index])]} ({float(p[y[index]]):.1%})"
        )
    print(f"saved in {result.model.folder}; look inside: rlrun inspect {result.model.folder}")


def announce_seeds(closing: dict[str, Any]) -> None:
    """Print the means over the seeds with their intervals."""
    for key, title in (("test_accuracy", "test"), ("train_accuracy", "training")):
        low, high = closing[f"{key}_interval"]
        print(
            f"{len(closing['seeds'])} seeds, {title}: {closing[key]:.2%} right (95% interval {low:.2%} to {high:.2%}, "
            f"Student's t): {', '.join(f'{value:.2%}' for value in closing[f'{key}_by_seed'])}"
        )


def confusion_lines(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> list[str]:
    """Return a confusion matrix as text: a row for each true class, a column for each guess, dots for zeros."""
    name = max(map(len, classes))
    least = max(3, *(len(str(count)) for row in confusion for count in row)) + 1
    room = (COLUMNS - name - 7) // len(classes)  # names are cut where a line would grow too long
    cell = max(least, min(name + 1, room))
    heads = [title if len(title) < cell else title[: cell - 1] for title in classes]
    lines = [" " * name + "  guess" + "".join(head.rjust(cell) for head in heads)]
    for title, row in zip(classes, confusion, strict=True):
        lines.append(title.rjust(name) + " " * 7 + "".join((str(count) if count else "·").rjust(cell) for count in row))
    return lines


def draw(result: Result, out: Path) -> None:
    """Draw the scorecard to `out`: the fit, and either images and confusions or the plane and how it is warped."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from .plane import draw_plane
    from .plot import STYLE, _save

    with rc_context(STYLE):
        figure = Figure(figsize=(15, 5.6), dpi=110, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        about = result.model.description
        figure.suptitle(
            f"{about['network']} on {about['data']}: {about['test_accuracy']:.2%} of the test data right, "
            f"{about['parameters']:,} parameters",
            fontsize=15, fontweight="bold", x=0.01, ha="left",
        )  # fmt: skip
        parts: Any = figure.subfigures(1, 3)
        left, middle, right = parts
        _draw_fit(left, result)
        if result.model.in_shape == (2,):
            draw_plane(middle, right, result.model, result.data)
        else:
            _draw_confusion(middle, result)
            _draw_mistakes(right, result)
        _save(figure, out)


def _draw_fit(figure: Figure | SubFigure, result: Result) -> None:
    import numpy as np

    from .plot import COLORS

    top, bottom = figure.subplots(2, 1, sharex=True)
    epochs = np.array([fitting.fraction * fitting.epochs for fitting in result.history])
    passes = np.ceil(epochs - 1e-9).astype(int)
    ticks = np.unique(passes)
    for axes, name in ((top, "log_likelihood"), (bottom, "accuracy")):
        values = np.array([getattr(fitting, name) for fitting in result.history])
        means = [values[passes == epoch].mean() for epoch in ticks]
        axes.plot(epochs, values, color=COLORS[0], linewidth=0.8, alpha=0.25)  # a few batches at a time: noisy
        axes.plot(ticks, means, color=COLORS[0], linewidth=1.8, label="training, mean of an epoch")
    top.set_ylabel("log-likelihood, an example")
    ends = [fitting for fitting in result.history if fitting.test_accuracy is not None]
    bottom.plot([end.epoch for end in ends], [end.test_accuracy for end in ends], color=COLORS[1], label="test")
    bottom.set_ylabel("share right")
    bottom.set_xlabel("epochs")
    bottom.legend(loc="lower right", frameon=False)


def _draw_confusion(figure: Figure | SubFigure, result: Result) -> None:
    import numpy as np

    axes = figure.subplots()
    counts = result.test.confusion.numpy()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(False)
    ticks = range(len(result.data.classes))
    axes.set_xticks(ticks, result.data.classes, rotation=90 if max(map(len, result.data.classes)) > 2 else 0)
    axes.set_yticks(ticks, result.data.classes)
    axes.set_xlabel("guess")
    axes.set_ylabel("true class")
    axes.set_title("test data", loc="left", fontsize=11)
    if len(counts) <= SHOWN_CLASSES:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                color = "white" if shares[row, column] > 0.5 else "#1f2733"
                axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=color)


def _draw_mistakes(figure: Figure | SubFigure, result: Result) -> None:
    grid = figure.subplots(3, WORST // 3)
    y, classes = result.data.test.y, result.data.classes
    worst = result.test.worst(y, WORST)
    for axes in grid.flat:
        axes.axis("off")
    for axes, index in zip(grid.flat, worst, strict=False):
        image = result.data.test.x[index].permute(1, 2, 0).numpy()
        axes.imshow(image.squeeze(), cmap="gray_r", interpolation="nearest")
        p = result.test.probabilities[index]
        axes.set_title(
            f"{classes[int(p.argmax())]} {float(p.max()):.0%}\nis {classes[int(y[index])]}", fontsize=9, color="#b8341b"
        )
    figure.suptitle("the worst mistakes" if worst else "no mistakes", fontsize=11)


def _right(accuracy: float, count: int) -> str:
    return f"{accuracy:.2%} right ({round((1 - accuracy) * count):,} of {count:,} wrong)"


def _likelihood(score: Score) -> str:
    return f"log-likelihood {score.log_likelihood:.4f} an example"
