"""Fitting: it climbs the likelihood, repeats under a seed, and never looks at the test data."""

import math

import pytest
import torch

from rlrun.networks.classifier import build_classifier
from rlrun.networks.digits import Data, Examples, load_data
from rlrun.networks.fit import disturb, fit, predict, score, step_size


def fitted(data: Data, network: str, seed: int = 0, **options: float) -> tuple[torch.nn.Module, list[float]]:
    torch.manual_seed(seed)
    hidden = options.pop("hidden", None)
    made = build_classifier(network, data.in_shape, len(data.classes), hidden=(int(hidden),) * 2 if hidden else None)
    told = [each.log_likelihood for each in fit(made, data.train, seed=seed, **options)]
    return made, told


def test_a_line_fails_on_the_circle_and_the_38_parameters_do_not() -> None:
    data = load_data("circle")
    line, _ = fitted(data, "logistic", epochs=60, batch_size=10, learning_rate=3e-2)
    assert score(line, data.train).accuracy < 0.7
    bent, told = fitted(data, "mlp", epochs=150, batch_size=10, learning_rate=3e-2, weight_decay=1e-2)
    assert score(bent, data.train).accuracy == 1.0
    assert told[-1] > -0.1 > told[0]


def test_digits_are_learned_and_the_deeper_network_knows_more() -> None:
    data = load_data("digits")
    accuracy = {}
    for network in ("logistic", "mlp"):
        made, _ = fitted(data, network, epochs=10, batch_size=32)
        accuracy[network] = score(made, data.test).accuracy
    assert 0.85 < accuracy["logistic"] < accuracy["mlp"]
    assert accuracy["mlp"] > 0.94


def test_the_same_seed_gives_the_same_weights_whoever_listens() -> None:
    data = load_data("simple")
    runs = []
    for seed, listener in ((1, False), (1, True), (2, False)):
        torch.manual_seed(0)
        made = build_classifier("mlp", (2,), 2, dropout=0.3)
        for _ in fit(made, data.train, data.test, epochs=4, batch_size=3, seed=seed):
            if listener:
                torch.rand(5)
        runs.append(torch.cat([weight.flatten() for weight in made.parameters()]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_a_fit_leaves_torchs_own_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    data = load_data("simple")
    made = build_classifier("logistic", (2,), 2)
    torch.manual_seed(5)
    list(fit(made, data.train, epochs=2))
    assert torch.equal(torch.rand(3), expected)


def test_the_progress_counts_epochs_and_measures_the_test_data_once_in_each() -> None:
    data = load_data("simple")
    told = list(fit(build_classifier("mlp", (2,), 2), data.train, data.test, epochs=3, batch_size=5))
    assert [each.epoch for each in told if each.test_accuracy is not None] == [1, 2, 3]
    assert [each.fraction for each in told] == sorted(each.fraction for each in told)
    assert told[-1].fraction == 1.0


def test_a_score_counts_by_true_class_and_guess_and_names_the_worst_mistakes() -> None:
    class Fixed(torch.nn.Module):
        def logits(self, x: torch.Tensor) -> torch.Tensor:
            return x

    p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.9, 0.0], [0.6, 0.3, 0.1], [0.2, 0.1, 0.7]])
    y = torch.tensor([0, 0, 1, 2])
    found = score(Fixed(), Examples((p + 1e-12).log(), y))
    assert found.accuracy == 0.5
    assert found.confusion.tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert found.log_likelihood == pytest.approx((math.log(0.7) + math.log(0.1) + math.log(0.3) + math.log(0.7)) / 4)
    assert found.worst(y, 5) == [1, 2]  # 0.9 sure and wrong, then 0.6


def test_predicting_uses_every_neuron_and_leaves_the_mode_as_it_was() -> None:
    made = build_classifier("mlp", (2,), 2, dropout=0.5).train()
    x = torch.randn(7, 2)
    assert torch.equal(predict(made, x), predict(made, x))
    assert made.training


def test_the_step_size_rises_and_then_falls_to_nothing() -> None:
    sizes = [step_size(i / 100) for i in range(101)]
    assert sizes[0] < 0.01
    assert sizes.index(max(sizes)) == 15
    assert max(sizes) == pytest.approx(1.0)
    assert sizes[-1] == pytest.approx(0.0)


def test_disturbed_images_move_by_two_pixels_at_most_and_stay_images() -> None:
    images = torch.zeros(200, 1, 28, 28, dtype=torch.uint8)
    images[:, :, 13:15, 13:15] = 255
    moved = disturb(images, torch.Generator().manual_seed(0))
    assert moved.dtype == torch.float32
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1
    rows = torch.arange(28.0)
    mass = moved.sum((1, 2, 3))
    centre = (moved.sum(3)[:, 0] * rows).sum(1) / mass
    assert float((centre - 13.5).abs().max()) < 2.5
    assert float(centre.std()) > 0.8
    assert torch.equal(moved, disturb(images, torch.Generator().manual_seed(0)))
