"""The benchmarks' own arithmetic: what they compute of the lines that the commands return."""

import argparse
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rlrun.cli.lesson import recipe
from rlrun.networks.digits import load_data

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def classify(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return benchmarks/classify.py as a module."""
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location("benchmark_classify", FOLDER / "classify.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("machine", None)
    return module


def test_se_resnet_is_compared_with_the_cnn_seed_by_seed(classify: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = {"cnn": [0.90, 0.92, 0.94], "se-resnet": [0.93, 0.93, 0.98], "lenet": [0.1] * 3, "inception": [0.2] * 3}

    def classified(arguments: Sequence[str], quick: bool) -> dict[str, Any]:
        network = arguments[arguments.index("--network") + 1]
        return {"network": network, "test_accuracy": 0.0, "test_accuracy_by_seed": accuracy[network]}

    monkeypatch.setattr(classify, "classified", classified)
    result = classify.blocks(["--data", "digits"], argparse.Namespace(seeds=3, quick=False))
    found = result["se_resnet_less_cnn"]
    assert found["by_seed"] == pytest.approx([0.03, 0.01, 0.04])
    assert found["mean"] == pytest.approx(0.08 / 3)
    half = 4.3027 * 0.0152753 / 3**0.5  # Student's t with two degrees of freedom; the deviation of .03, .01, .04
    assert found["interval"] == pytest.approx([0.08 / 3 - half, 0.08 / 3 + half], abs=1e-5)


@pytest.mark.parametrize("name", ["circle", "spiral"])
def test_points_are_classified_with_the_settings_that_validation_chose(name: str) -> None:
    best = json.loads((FOLDER / "results" / "classify-points-selection.json").read_text())[name]
    usual = recipe(load_data(name), "mlp")
    assert usual.epochs == best["epochs"]
    assert list(usual.hidden or (6, 2)) == best["best"]["hidden"]
    assert (usual.learning_rate, usual.weight_decay) == (best["best"]["learning_rate"], best["best"]["weight_decay"])
    assert best["best"]["accuracy"] == max(row["accuracy"] for row in best["candidates"])
