"""Classifiers: their probabilities, their likelihood, the ladder, and the body they share with Q-networks."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rlrun.networks import backprop
from rlrun.networks.classifier import (
    NETWORKS,
    Classifier,
    build_classifier,
    classifier_on,
    coarsen,
    log_likelihood,
    parameter_count,
)
from rlrun.networks.cnn import CNN
from rlrun.networks.heads import ExpectationHead, ProbabilityHead
from rlrun.networks.inception import InceptionBody
from rlrun.networks.mlp import MLP
from rlrun.networks.polynomial import polynomial_fits
from rlrun.networks.qnetwork import QNetwork


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("in_shape", [(1, 8, 8), (1, 28, 28), (3, 20, 24)])
def test_every_rung_gives_probabilities_for_images_of_any_size(network: str, in_shape: tuple[int, ...]) -> None:
    if in_shape[0] == 3 and network in ("lenet", "nature"):
        with pytest.raises(ValueError, match=r"grey|channels"):
            build_classifier(network, in_shape, 10)
        return
    made = build_classifier(network, in_shape, 10).eval()
    bytes_ = torch.randint(0, 256, (2, *in_shape), dtype=torch.uint8)
    probabilities = made(bytes_)
    assert probabilities.shape == (2, 10)
    assert torch.allclose(probabilities.sum(1), torch.ones(2), atol=1e-6)
    assert torch.allclose(probabilities, made(bytes_ / 255), atol=1e-5)  # bytes mean 0..255, floats 0..1


def test_the_parameter_counts_of_the_ladder() -> None:
    count = {name: parameter_count(build_classifier(name, (1, 28, 28), 10)) for name in NETWORKS}
    assert count["logistic"] == 784 * 10 + 10
    assert count["mlp"] == (784 * 256 + 256) + (256 * 128 + 128) + (128 * 10 + 10)
    assert count["cnn"] == (25 * 32 + 32) + (9 * 32 * 64 + 64) + (7 * 7 * 64 * 128 + 128) + (128 * 10 + 10)
    assert count["lenet"] == 62_902
    assert parameter_count(build_classifier("mlp", (2,), 2)) == 38  # 2-6-2-2
    assert parameter_count(build_classifier("mlp", (40,), 1, hidden=(20,))) == 841  # the lecture's 820 and 21 biases


def test_the_log_likelihood_is_that_of_the_lecture() -> None:
    logits, y = torch.randn(20, 4, dtype=torch.double), torch.randint(0, 4, (20,))
    y_hat = logits.softmax(1).numpy()
    assert float(log_likelihood(logits, y)) == pytest.approx(backprop.log_likelihood_classes(np.eye(4)[y], y_hat))


def test_logistic_regression_with_two_classes_has_the_gradient_written_by_hand() -> None:
    made = build_classifier("logistic", (3,), 2).double()
    x, y = torch.randn(30, 3, dtype=torch.double), torch.randint(0, 2, (30,))
    weight, bias = made.head.parameters()
    theta = torch.cat([(bias[1] - bias[0])[None], weight[1] - weight[0]]).detach().numpy()
    by_hand = backprop.logistic_gradient(theta, backprop.with_one(x.numpy()), y.numpy())
    of_weight, of_bias = torch.autograd.grad(log_likelihood(made.logits(x), y), (weight, bias))
    assert np.abs(np.r_[of_bias[1].item(), of_weight[1].numpy()] - by_hand).max() < 1e-10


def test_coarse_probabilities_are_the_sums_of_their_fine_ones() -> None:
    fine = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.5, 0.0]])
    assert torch.equal(coarsen(fine, torch.tensor([1, 0, 1, 0])), torch.tensor([[0.6, 0.4], [0.25, 0.75]]))
    exact = torch.rand(50, 757, dtype=torch.double).softmax(1)
    groups = torch.arange(757) % 9
    sums = torch.stack([exact[:, groups == coarse].sum(1) for coarse in range(9)], 1)
    assert torch.allclose(coarsen(exact, groups), sums, atol=1e-15)
    with pytest.raises(ValueError, match="each of 4 classes is needed, not 3"):
        coarsen(fine, torch.tensor([0, 1, 0]))


def test_every_auxiliary_head_learns_and_reaches_the_body() -> None:
    made = build_classifier("inception", (1, 8, 8), 10)
    assert isinstance(made.body, InceptionBody)
    x, y = torch.rand(4, 1, 8, 8), torch.randint(0, 10, (4,))
    logits = made.all_logits(x)
    assert len(logits) == 3
    assert torch.equal(logits[0], made.logits(x))
    first = made.body.blocks[0].one[0].weight
    for head, each in zip(made.auxiliary, logits[1:], strict=True):
        loss = F.cross_entropy(each, y)
        of_head, of_body = torch.autograd.grad(loss, (head.stream.output.weight, first), retain_graph=True)
        assert of_head.abs().sum() > 0
        assert of_body.abs().sum() > 0


def test_a_frozen_body_neither_learns_nor_drops() -> None:
    body = MLP(4, (6,))
    made = classifier_on(body, (4,), 3, frozen=True).train()
    assert not body.training
    assert made.head.training
    assert [name for name, weight in made.named_parameters() if weight.requires_grad] == [
        "head.stream.output.weight",
        "head.stream.output.bias",
    ]


def test_classifier_and_q_network_share_one_body_the_same_object_and_the_same_weights() -> None:
    body = CNN((4, 84, 84))
    q_network = QNetwork(body, ExpectationHead(body.out_features, 4))
    classifier = classifier_on(q_network.body, (1, 28, 28), 10)
    assert classifier.body is q_network.body
    assert type(classifier.body) is CNN
    before = q_network(torch.zeros(1, 4, 84, 84))
    with torch.no_grad():
        for weight in classifier.body.parameters():
            weight.add_(0.01)
    assert not torch.equal(q_network(torch.zeros(1, 4, 84, 84)), before)
    back = QNetwork(classifier.body, ExpectationHead(body.out_features, 6))
    assert back.body is body


def test_a_digit_shown_to_a_nature_body_is_enlarged_and_stands_still() -> None:
    made = build_classifier("nature", (1, 28, 28), 10)
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    image[..., 14:] = 255
    shown = made.prepare(image)
    assert shown.shape == (1, 4, 84, 84)
    assert all(torch.equal(shown[:, 0], shown[:, k]) for k in range(1, 4))
    assert shown[..., :40].max() == 0
    assert shown[..., 44:].min() == 1


def test_a_body_that_sees_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4,\).*\(1, 28, 28\)"):
        classifier_on(MLP(4, (8,)), (1, 28, 28), 10)
    with pytest.raises(ValueError, match="sees pictures, not 2 numbers"):
        build_classifier("cnn", (2,), 2)
    with pytest.raises(ValueError, match="no hidden neurons"):
        build_classifier("logistic", (2,), 2, dropout=0.5)
    with pytest.raises(ValueError, match="probability"):
        build_classifier("mlp", (2,), 2, dropout=1.0)


def test_dropout_changes_no_names() -> None:
    for network in ("mlp", "cnn", "lenet", "inception", "se-resnet"):
        plain, dropped = (build_classifier(network, (1, 8, 8), 10, dropout=p) for p in (0.0, 0.5))
        assert plain.state_dict().keys() == dropped.state_dict().keys()
        assert any(isinstance(m, torch.nn.Dropout) and m.p == 0.5 for m in dropped.modules())


def test_the_unused_head_has_no_effect() -> None:
    body = MLP(3, (5,))
    made = Classifier(body, ProbabilityHead(5, 2))
    assert made.all_logits(torch.rand(2, 3))[0].shape == (2, 2)
    assert len(made.all_logits(torch.rand(2, 3))) == 1


def test_polynomials_of_a_higher_degree_fit_better_and_predict_worse() -> None:
    train, test = [], []
    for seed in range(5):
        fits = polynomial_fits(range(12), seed=seed)
        errors = [fit.train_error for fit in fits]
        assert all(after <= before + 1e-9 for before, after in pairwise(errors))
        train.append(errors)
        test.append([fit.test_error for fit in fits])
    assert np.mean(train, 0)[11] < 1e-8  # through all 12 points
    best = int(np.median(test, 0).argmin())
    assert 3 <= best <= 5
    assert np.median(test, 0)[11] > 10 * np.median(test, 0)[best]
    with pytest.raises(ValueError, match="degree 0 to 11, not 12"):
        polynomial_fits([12])
