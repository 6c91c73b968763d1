"""The classification results: each part runs `rlrun classify` with its seeds and writes one JSON file to results/.

python benchmarks/classify.py PART... [--data-dir ../shared/data/mnist] [--seeds 5] [--out benchmarks/results] [--quick]

Parts: ladder-digits, ladder-mnist, dropout-digits, dropout-mnist, blocks-digits, points-selection, points, polynomial.
--quick is a rehearsal: few seeds, epochs and examples, to see that everything runs; its files are named so.
"""

import argparse
import contextlib
import io
import json
import tempfile
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import rounds
import torch
from machine import describe
from scipy.stats import t

import rlrun
from rlrun.cli.errors import run
from rlrun.cli.main import cli
from rlrun.networks.classifier import build_classifier
from rlrun.networks.digits import validation_points
from rlrun.networks.fit import fit, score
from rlrun.networks.polynomial import polynomial_fits


def classified(arguments: Sequence[str], quick: bool) -> dict[str, Any]:
    """Return the closing line of one `rlrun classify ... --json`, and the command itself."""
    command = ["classify", *arguments]
    if quick:
        command += ["--epochs", "1"]
        if "--train-size" not in arguments and not {"circle", "spiral", "simple"} & set(arguments):
            command += ["--train-size", "200"]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as said:
        code = run(cli, [*command, "--dir", folder, "--json"])
    if code:
        raise SystemExit(code)
    closing: dict[str, Any] = json.loads(said.getvalue().splitlines()[-1])
    closing.pop("folder")
    closing["command"] = "rlrun " + " ".join(Path(word).name if Path(word).is_dir() else word for word in command)
    print(f"{closing['command']}: {closing['test_accuracy']:.4f}", flush=True)
    return closing


def paired(a: dict[str, Any], b: dict[str, Any], values: str = "test_accuracy") -> dict[str, Any]:
    """Return the mean difference b - a of two lines over the same seeds, with its 95% interval (Student's t)."""
    first, second = (np.atleast_1d(line.get(f"{values}_by_seed", line[values])) for line in (a, b))
    difference = second - first
    mean, n = float(difference.mean()), len(difference)
    half = float(t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return {"of": values, "mean": mean, "interval": [mean - half, mean + half], "by_seed": difference.tolist()}


def gap(line: dict[str, Any]) -> dict[str, Any]:
    """Return the line with what training accuracy exceeds test accuracy by."""
    keys = ("train_accuracy_by_seed", "test_accuracy_by_seed")
    train, test = (np.atleast_1d(line.get(key, line[key.removesuffix("_by_seed")])) for key in keys)
    return {**line, "gap": float((train - test).mean()), "gap_by_seed": (train - test).tolist()}


def ladder(data: list[str], options: argparse.Namespace) -> dict[str, Any]:
    lines = [
        classified(["--network", network, *data, "--seeds", str(options.seeds)], options.quick)
        for network in ("logistic", "mlp", "cnn")
    ]
    steps = [paired(below, above) for below, above in pairwise(lines)]
    return {"lines": lines, "each_rung_above_the_last": steps}


def dropout(data: list[str], network: str, options: argparse.Namespace) -> dict[str, Any]:
    shared = ["--network", network, *data, "--train-size", "1000", "--no-augment", "--seeds", str(options.seeds)]
    lines = [gap(classified([*shared, *more], options.quick)) for more in ([], ["--dropout", "0.5"])]
    return {
        "lines": lines,
        "gap_with_less_gap_without": paired(*lines, values="gap"),
        "test_with_less_test_without": paired(*lines),
    }


def blocks(data: list[str], options: argparse.Namespace) -> dict[str, Any]:
    names = ("cnn", "lenet", "inception", "se-resnet")
    lines = [classified(["--network", n, *data, "--seeds", str(options.seeds)], options.quick) for n in names]
    return {"lines": lines, "se_resnet_less_cnn": paired(lines[0], lines[-1])}


def points(options: argparse.Namespace) -> dict[str, Any]:
    plans = [(network, data) for data in ("circle", "spiral", "simple") for network in ("logistic", "mlp")]
    seeds = str(options.seeds)
    return {"lines": [classified(["--network", n, "--data", d, "--seeds", seeds], options.quick) for n, d in plans]}


def selection(options: argparse.Namespace) -> dict[str, Any]:
    """Return how candidate settings do on draws that no result is reported on; `rlrun classify` takes the best ones."""
    epochs, draws = (1, 1) if options.quick else (300, options.seeds)
    plans: dict[str, list[tuple[tuple[int, ...], float, float]]] = {
        "circle": [((6, 2), rate, decay) for rate in (1e-2, 3e-2) for decay in (1e-4, 1e-2, 1e-1, 3e-1)],
        "spiral": [(w, rate, decay) for w in ((16, 16), (32, 32)) for rate in (1e-2, 2e-2) for decay in [1e-4]],
    }
    found: dict[str, Any] = {}
    for name, candidates in plans.items():
        rows = []
        for hidden, rate, decay in candidates:
            scores = []
            for draw in range(draws):
                data = validation_points(name, draw)
                torch.manual_seed(draw)
                made = build_classifier("mlp", (2,), 2, hidden=hidden)
                how = {"epochs": epochs, "batch_size": 10, "learning_rate": rate, "weight_decay": decay}
                deque(fit(made, data.train, seed=draw, **how), maxlen=0)
                scores.append(score(made, data.test))
            row = {"hidden": hidden, "learning_rate": rate, "weight_decay": decay,
                   "accuracy": float(np.mean([each.accuracy for each in scores])),
                   "log_likelihood": float(np.mean([each.log_likelihood for each in scores]))}  # fmt: skip
            print(name, row, flush=True)
            rows.append(row)
        best = max(rows, key=lambda row: (row["accuracy"], row["log_likelihood"]))
        found[name] = {"epochs": epochs, "draws": draws, "candidates": rows, "best": best}
    return found


def polynomial(options: argparse.Namespace) -> dict[str, Any]:
    seeds = range(options.seeds * 20)
    errors = np.array([[(f.train_error, f.test_error) for f in polynomial_fits(range(12), seed=s)] for s in seeds])
    median = np.median(errors, 0)
    rows = [
        {"degree": degree, "train_error": float(train), "test_error": float(test)}
        for degree, (train, test) in enumerate(median)
    ]
    return {"points": 12, "noise": 0.2, "draws": len(seeds), "median_errors": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="+")
    parser.add_argument("--data-dir", default="../shared/data/mnist", help="where MNIST's IDX files are")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.seeds = 2
    digits, mnist = ["--data", "digits"], ["--data", "mnist", "--data-dir", options.data_dir]
    parts = {
        "ladder-digits": lambda: ladder(digits, options),
        "ladder-mnist": lambda: ladder(mnist, options),
        "dropout-digits": lambda: dropout(digits, "mlp", options),
        "dropout-mnist": lambda: dropout(mnist, "mlp", options),
        "blocks-digits": lambda: blocks(digits, options),
        "points-selection": lambda: selection(options),
        "points": lambda: points(options),
        "polynomial": lambda: polynomial(options),
    }
    unknown = [part for part in options.parts if part not in parts]
    if unknown:
        raise SystemExit(f"error: unknown part {unknown[0]!r}; known are {', '.join(parts)}")
    for part in options.parts:
        result = {"part": part, "machine": describe(), "rlrun": rlrun.__version__, **parts[part]()}
        path = options.out / f"classify-{part}{'-quick' if options.quick else ''}.json"
        rounds.write_json(path, result)
        print(path)


if __name__ == "__main__":
    main()
