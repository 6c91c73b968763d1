"""Looking inside: layers by name, best stimuli, dreams and saliency, on networks whose answers are known."""

import copy

import pytest
import torch
from torch import Tensor, nn

from rlrun.networks.classifier import build_classifier
from rlrun.networks.cnn import CNN, ConvLayer
from rlrun.networks.dream import deep_dream, gram, style_loss, style_transfer
from rlrun.networks.heads import ExpectationHead
from rlrun.networks.impala import Impala
from rlrun.networks.inception import InceptionBody
from rlrun.networks.lenet import LeNet
from rlrun.networks.mlp import MLP
from rlrun.networks.probe import ProbeError, activations, layer_named, layer_names, recording, scores
from rlrun.networks.qnetwork import QNetwork
from rlrun.networks.saliency import (
    blur,
    deletion_insertion,
    gradient_saliency,
    perturbation_saliency,
    pointing,
    randomised,
    rank_correlation,
    sarfa_saliency,
)
from rlrun.networks.stimulus import (
    best_neuron,
    layer_values,
    nearest_distance,
    optimum_at_norm,
    optimum_in_box,
    output_objective,
    top_stimuli,
    unit_objective,
)


def q_network(actions: int = 3) -> QNetwork:
    torch.manual_seed(0)
    body = CNN((1, 20, 20), [ConvLayer(4, 3, 1, 1, pool=2), ConvLayer(6, 3, 1, 1)])
    return QNetwork(body, ExpectationHead(body.out_features, actions, (8,))).eval()


def sensitive_inception() -> InceptionBody:
    """Return an untrained body whose features tell images apart; as PyTorch starts them, they fade with depth."""
    torch.manual_seed(0)
    body = InceptionBody((1, 20, 20))
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    return body


class Spot(nn.Module):
    """Two outputs, of which the first is the mean of the pixels in a corner and the second of the whole image."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([20 * x[:, 0, 2:7, 2:7].mean((1, 2)), 0 * x.mean((1, 2, 3)), 0 * x.mean((1, 2, 3))], 1)


def corner_share(saliency: Tensor) -> float:
    """Return how much of a 20 x 20 saliency lies in the 10 x 10 pixels around the spot."""
    return float(saliency[:10, :10].sum() / saliency.sum())


def test_layers_are_named_and_recorded_for_q_networks_and_classifiers_alike() -> None:
    for network in (q_network(), build_classifier("cnn", (1, 20, 20), 10, dropout=0.5).eval()):
        names = layer_names(network)
        assert names[0] == "body.layers.0"
        assert not any("dropout" in name for name in names)
        x = torch.rand(2, 1, 20, 20)
        seen = activations(network, x)
        assert list(seen) == names
        assert torch.equal(seen["body.layers.0"], layer_named(network, "body.layers.0")(x))
        assert torch.equal(seen[names[-1]], scores(network, x))


def test_silent_auxiliary_heads_are_left_out() -> None:
    network = build_classifier("inception", (1, 8, 8), 10)
    assert not any(name.startswith("auxiliary") for name in activations(network, torch.rand(1, 1, 8, 8)))
    assert network.training


def test_an_unknown_layer_is_answered_with_the_nearest_ones() -> None:
    with pytest.raises(ProbeError, match=r"no layer 'body.layer.0'; nearest are body.layers.0"):
        activations(q_network(), torch.rand(1, 1, 20, 20), ["body.layer.0"])


def test_probing_leaves_weights_that_learn_as_they_were() -> None:
    network = q_network().train()
    before = copy.deepcopy(network.state_dict())
    optimum_at_norm(network, output_objective(network, 0), (1, 20, 20), steps=3)
    assert network.training
    assert all(weight.requires_grad and weight.grad is None for weight in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_top_stimuli_are_those_with_the_largest_values() -> None:
    network = q_network()
    x = torch.rand(30, 1, 20, 20)
    values = layer_values(network, "body.layers.0", x)
    maps = activations(network, x, ["body.layers.0"])["body.layers.0"]
    assert torch.allclose(values, maps.amax((2, 3)))
    top = top_stimuli(values, 2, 5)
    assert values[top, 2].tolist() == sorted(values[:, 2].tolist(), reverse=True)[:5]
    with pytest.raises(ProbeError, match="no unit 9: the layer has units 0 to 3"):
        top_stimuli(values, 9)


def test_the_best_neuron_is_found_with_its_threshold() -> None:
    values = torch.tensor([[5.0, 1.0, 0.0], [1.0, 4.0, 0.0], [4.0, 2.0, 0.0], [2.0, 3.0, 0.0], [3.0, 9.0, 1.0]])
    found = best_neuron(values, torch.tensor([False, True, False, True, True]))
    assert (found.unit, found.accuracy, found.above) == (1, 1.0, True)
    assert 2 < found.threshold < 3
    found = best_neuron(values[:, [0, 2]], torch.tensor([False, True, False, True, True]))
    assert (found.unit, found.accuracy, found.above) == (0, 1.0, False)  # "below the threshold" tells it as well
    assert 3 < found.threshold < 4


def test_equal_values_are_not_told_apart() -> None:
    found = best_neuron(torch.ones(10, 1), torch.arange(10) < 7)
    assert found.accuracy == 0.7


def test_the_optimum_of_a_linear_unit_is_its_weights_direction() -> None:
    network = MLP(50, (4,), activation=nn.Identity)
    w = network.layers[0].weight[2].detach()
    x = optimum_at_norm(network, unit_objective(network, "layers.0", 2), (50,), steps=200)
    assert float(x.norm()) == pytest.approx(1.0, abs=1e-5)
    assert float(torch.cosine_similarity(x, w, 0)) >= 0.9999


def test_the_optimum_beats_the_best_of_many_at_equal_norm() -> None:
    network = q_network()
    x = torch.rand(200, 1, 20, 20)
    x = 5 * x / x.flatten(1).norm(dim=1)[:, None, None, None]
    for objective in (output_objective(network, 1), unit_objective(network, "body.layers.3", 4)):
        with torch.no_grad():
            values = objective(x)
        best = x[int(values.argmax())]
        found = optimum_at_norm(network, objective, (1, 20, 20), norm=5.0, start=best, steps=60)
        assert float(found.norm()) == pytest.approx(5.0, abs=1e-4)
        assert float(objective(found[None]).detach()) > float(values.max())


def test_the_modern_optimum_stays_in_the_box_and_beats_noise() -> None:
    network = q_network()
    objective = output_objective(network, 0, advantage=True)
    x = optimum_in_box(network, objective, (1, 20, 20), steps=40)
    assert x.shape == (1, 20, 20)
    assert 0 <= float(x.min()) < float(x.max()) <= 1
    with torch.no_grad():
        assert objective(x[None]) > objective(torch.rand(100, 1, 20, 20)).max()
    assert torch.equal(x, optimum_in_box(network, objective, (1, 20, 20), steps=40))


def test_the_distance_to_the_nearest_state_is_root_mean_square() -> None:
    states = torch.tensor([[[0.0, 0.0]], [[3.0, 4.0]]])
    assert nearest_distance(torch.tensor([[3.0, 2.0]]), states) == (pytest.approx(2**0.5), 1)


def test_deep_dream_raises_the_energy_at_every_octave() -> None:
    body = q_network().body
    dream = deep_dream(body, "layers.3", torch.rand(1, 20, 20))
    assert dream.image.shape == (1, 20, 20)
    assert len(dream.energy_ratios) == 4
    assert min(dream.energy_ratios) > 1
    assert 0 <= float(dream.image.min()) <= float(dream.image.max()) <= 1


@pytest.mark.parametrize("layer", ["stem.0", "blocks.1", "blocks.2.three.2"])
def test_inception_dreams_of_blocks_and_of_their_branches(layer: str) -> None:
    torch.manual_seed(0)
    body = InceptionBody((1, 20, 20))
    dream = deep_dream(body, layer, torch.rand(1, 20, 20), octaves=3)
    assert dream.image.shape == (1, 20, 20)
    assert min(dream.energy_ratios) > 1
    assert [maps.shape[2] for maps in body.maps(dream.image[None])] == [20, 10, 5]
    with recording(body, [layer]) as seen:
        body(torch.stack([dream.image, torch.rand(1, 20, 20)]))  # the energy is that of the layer in the whole body
    assert seen[layer][0].square().mean() > seen[layer][1].square().mean()


def test_every_body_looks_at_images_of_other_sizes_past_its_own_check() -> None:
    image = (1, 20, 20)
    layers = [ConvLayer(4, 3, 1, 1, pool=2)]
    for body, of_itself in ((CNN(image, layers), "layers.0"), (Impala(image), "layers.0"), (LeNet(image), "layers.0"),
                            (InceptionBody(image), "blocks.0")):  # fmt: skip
        x = torch.rand(2, 1, 20, 20)
        last = body.maps(x)[-1] if isinstance(body, InceptionBody) else body.maps(x)
        features = last.mean((2, 3)) if isinstance(body, InceptionBody) else last.flatten(1)
        assert torch.equal(body(x), features)
        assert min(deep_dream(body, of_itself, torch.rand(1, 14, 16), octaves=2).energy_ratios) > 1
        with pytest.raises(ValueError, match="expected"):
            body(torch.rand(2, 1, 14, 16))


def test_what_cannot_be_dreamt_of_is_said() -> None:
    with pytest.raises(ProbeError, match="MLP is none"):
        deep_dream(MLP(400, (4,)), "layers.0", torch.rand(1, 20, 20))
    with pytest.raises(ProbeError, match=r"no layer 'blocks.1.thre.2'; nearest are blocks.1.three.2"):
        deep_dream(InceptionBody((1, 20, 20)), "blocks.1.thre.2", torch.rand(1, 20, 20))
    with pytest.raises(ProbeError, match="layers that can be dreamt of are feature maps"):
        deep_dream(Impala((1, 16, 16), squeeze=16), "layers.2.branch.4.excite", torch.rand(1, 16, 16), octaves=1)
    with pytest.raises(ProbeError, match="take fewer octaves"):
        deep_dream(CNN((1, 20, 20), [ConvLayer(4, 8, 1)]), "layers.0", torch.rand(1, 20, 20))


def test_the_style_loss_has_the_gradient_of_finite_differences() -> None:
    features = torch.rand(1, 3, 4, 5, dtype=torch.double, requires_grad=True)
    wanted = gram(torch.rand(1, 3, 4, 5, dtype=torch.double))
    assert torch.autograd.gradcheck(lambda f: style_loss([f], [wanted]), (features,))
    assert float(style_loss([features], [gram(features)]).detach()) == 0
    flipped = features.flip(3)  # a style does not say where things are
    assert torch.allclose(gram(features), gram(flipped))


@pytest.mark.parametrize(
    ("body", "layers"),
    [(q_network().body, ["layers.0", "layers.3"]), (sensitive_inception(), ["stem.0", "blocks.1"])],
    ids=["CNN", "Inception"],
)
def test_style_transfer_lowers_both_losses(body: nn.Module, layers: list[str]) -> None:
    content, style = torch.rand(1, 20, 20), torch.rand(1, 20, 20) ** 4
    made = style_transfer(
        body,
        content,
        style,
        content_layer=layers[-1],
        style_layers=layers,
        style_weight=1.0,
        steps=60,
    )
    assert len(made.content_losses) == 61
    assert made.content_losses[-1] < 0.7 * made.content_losses[0]
    assert made.style_losses[-1] < 0.7 * made.style_losses[0]


def test_every_saliency_finds_the_spot_that_matters() -> None:
    x = torch.rand(1, 20, 20, generator=torch.Generator().manual_seed(0))
    x[:, 2:7, 2:7] = 1.0
    gradient = gradient_saliency(Spot(), x, 0)
    expected = torch.zeros(20, 20)
    expected[2:7, 2:7] = 20 / 25
    assert torch.allclose(gradient, expected)
    assert corner_share(perturbation_saliency(Spot(), x, sigma=2, stride=2)) > 0.9
    assert corner_share(sarfa_saliency(Spot(), x, 0, sigma=2, stride=2)) > 0.9
    assert gradient_saliency(Spot(), (255 * x).byte(), 0).shape == (20, 20)


def test_sarfa_ignores_what_moves_all_actions_alike() -> None:
    class Together(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            both = 20 * x[:, 0, 13:18, 13:18].mean((1, 2))  # no action gains on another
            one = 4 * x[:, 0, 2:7, 2:7].mean((1, 2))
            return torch.stack([both + one, both, both], 1)

    x = torch.zeros(1, 20, 20)
    x[:, 2:7, 2:7] = x[:, 13:18, 13:18] = 1.0
    assert corner_share(perturbation_saliency(Together(), x, sigma=2, stride=2)) < 0.3
    assert corner_share(sarfa_saliency(Together(), x, 0, sigma=2, stride=2)) > 0.95


def test_good_saliency_deletes_faster_and_inserts_sooner_than_a_random_order() -> None:
    x = torch.zeros(1, 20, 20)
    x[:, 3:6, 3:6] = 1.0
    good = deletion_insertion(Spot(), x, 0, gradient_saliency(Spot(), x, 0))
    chance = deletion_insertion(Spot(), x, 0, torch.rand(20, 20, generator=torch.Generator().manual_seed(0)))
    assert good.deletion < chance.deletion
    assert good.insertion > chance.insertion


def test_random_weights_are_another_network_of_the_same_numbers() -> None:
    network = q_network()
    other = randomised(network)
    for a, b in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(a.flatten().sort().values, b.flatten().sort().values)
    x = torch.rand(1, 20, 20)
    assert rank_correlation(gradient_saliency(network, x, 0), gradient_saliency(other, x, 0)) < 0.9


def test_rank_correlation_is_spearmans() -> None:
    a = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    assert rank_correlation(a, a**3) == pytest.approx(1.0)
    assert rank_correlation(a, -a) == pytest.approx(-1.0)
    assert rank_correlation(a, torch.tensor([2.0, 1.0, 4.0, 3.0, 5.0])) == pytest.approx(0.8)
    assert rank_correlation(a, torch.ones(5)) == 0.0


def test_a_blur_keeps_the_sum_and_spreads_as_far_as_its_sigma() -> None:
    image = torch.zeros(1, 1, 41, 41, dtype=torch.double)
    image[..., 20, 20] = 1.0
    soft = blur(image, 3.0)
    assert float(soft.sum()) == pytest.approx(1.0)
    at = torch.arange(41, dtype=torch.double) - 20
    assert float((soft.sum(2)[0, 0] * at**2).sum()) == pytest.approx(9.0, rel=0.03)


class Numbers(nn.Module):
    """Three outputs for numbers (B, 4): the first hangs on the first two, all three on the third, none on the last."""

    def forward(self, x: Tensor) -> Tensor:
        one, all_three = 3 * x[:, 0] + 2 * x[:, 1], 5 * x[:, 2]
        return torch.stack([one + all_three, all_three, all_three], 1)


def test_numbers_are_taken_away_by_their_means() -> None:
    x, means = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0.0, 0.0, 1.0, 0.0])
    saliency = perturbation_saliency(Numbers(), x, blank=means)
    assert saliency.tolist() == pytest.approx([4.5, 8.0, 150.0, 0.0])  # half of 3^2, of 4^2, of 3 times 10^2
    relevance = torch.softmax(torch.tensor([22.0, 15.0, 15.0]), 0) - torch.softmax(torch.tensor([19.0, 15.0, 15.0]), 0)
    sarfa = sarfa_saliency(Numbers(), x, 0, blank=means)
    assert float(sarfa[0]) == pytest.approx(float(2 * relevance[0] / (1 + relevance[0])), rel=1e-4)
    assert sarfa[2:].tolist() == [0.0, 0.0]  # the third number moves all outputs alike


def test_numbers_that_belong_together_are_taken_away_together() -> None:
    x, means = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.zeros(4)
    parts = torch.tensor([[True, True, False, False], [False, False, False, True]])
    saliency = perturbation_saliency(Numbers(), x, blank=means, parts=parts)
    assert saliency.tolist() == pytest.approx([24.5, 24.5, 0.0, 0.0])  # half of (3 + 4)^2; the third is in no part
    window, means = x.view(2, 2), means.view(2, 2)
    network = nn.Sequential(nn.Flatten(), Numbers())
    saliency = perturbation_saliency(network, window, blank=means, parts=parts.view(2, 2, 2))
    assert torch.allclose(saliency, torch.tensor([[24.5, 24.5], [0.0, 0.0]]))


def test_deletion_and_insertion_of_numbers_go_to_their_means_and_back() -> None:
    x, means = torch.tensor([0.2, 0.2, 0.5, 0.9]), torch.zeros(4)
    curves = deletion_insertion(Numbers(), x, 0, torch.tensor([4.0, 3.0, 2.0, 1.0]), blank=means)
    share = [float(torch.softmax(torch.tensor([q, 0.0, 0.0]), 0)[0]) for q in (1.0, 0.4, 0.0)]
    assert curves.deleting.tolist() == pytest.approx([share[0], share[1], share[2], share[2], share[2]])
    assert curves.deletion == pytest.approx((share[0] / 2 + share[1] + 2.5 * share[2]) / 4)
    back = deletion_insertion(Numbers(), x, 0, torch.tensor([1.0, 2.0, 3.0, 4.0]), blank=means)
    assert back.inserting.tolist() == pytest.approx(curves.deleting.tolist()[::-1])


def test_numbers_without_their_means_cannot_be_taken_away() -> None:
    network = QNetwork(MLP(4, (5,)), ExpectationHead(5, 2, ()))
    assert gradient_saliency(network, torch.rand(4), 1).shape == (4,)
    with pytest.raises(ValueError, match=r"shape \(4,\) cannot be blurred: give their means"):
        perturbation_saliency(network, torch.rand(4))
    with pytest.raises(ValueError, match=r"shape \(4,\) cannot be blurred: give their means"):
        deletion_insertion(network, torch.rand(4), 0, torch.rand(4))


def test_pointing_counts_the_states_in_which_there_is_something_to_point_at() -> None:
    right = torch.tensor(
        [[True, False, False, False], [True, True, False, False], [False] * 4, [False, False, True, True]]
    )
    saliency = torch.tensor([[0.9, 0.1, 0.0, 0.0], [0.1, 0.2, 0.9, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.1, 0.2]])
    found = pointing(saliency, right)
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.chance == pytest.approx((1 / 4 + 1 / 2 + 1 / 2) / 3)
    assert found.states == 3
