"""The blocks: parameter counts of their papers, and what each does to numbers."""

import pytest
import torch
from torch import nn

from rlrun.networks.blocks import Inception, InceptionWidths, Residual, SqueezeExcite, dropping
from rlrun.networks.heads import ProbabilityHead
from rlrun.networks.impala import Impala
from rlrun.networks.inception import SMALL, InceptionBody
from rlrun.networks.lenet import WIRING, LeNet, WiredConv
from rlrun.networks.mlp import MLP

INCEPTION_3A = InceptionWidths(64, 96, 128, 16, 32, 32)


def counts(module: nn.Module) -> tuple[int, int]:
    """Return how many weights and how many biases a module has."""
    weights = sum(p.numel() for name, p in module.named_parameters() if not name.endswith("bias"))
    return weights, sum(p.numel() for name, p in module.named_parameters() if name.endswith("bias"))


def test_inception_3a_of_googlenet_has_163_328_weights_and_368_biases() -> None:
    assert counts(Inception(192, INCEPTION_3A)) == (163_328, 368)
    assert Inception(192, INCEPTION_3A)(torch.rand(2, 192, 28, 28)).shape == (2, 256, 28, 28)


def test_the_branches_of_an_inception_block_stand_side_by_side_in_order() -> None:
    block = Inception(2, InceptionWidths(1, 2, 3, 2, 4, 5)).eval()
    maps = torch.rand(1, 2, 9, 9)
    out = block(maps)
    for branch, lanes in zip(
        (block.one, block.three, block.five, block.pool), ((0, 1), (1, 4), (4, 8), (8, 13)), strict=True
    ):
        assert torch.equal(branch(maps), out[:, slice(*lanes)])
    assert (out >= 0).all()


def test_each_inception_branch_sees_as_far_as_its_kernel() -> None:
    torch.manual_seed(0)
    block = Inception(2, InceptionWidths(8, 8, 8, 8, 8, 8)).double()
    maps = torch.rand(1, 2, 15, 15, dtype=torch.double, requires_grad=True)
    spans = []
    for branch in (block.one, block.three, block.five):
        (gradient,) = torch.autograd.grad(branch(maps)[0, :, 7, 7].sum(), maps)
        spans.append(int((gradient[0].abs().sum((0, 1)) > 0).sum()))
    assert spans == [1, 3, 5]


@pytest.mark.parametrize("channels", [16, 64, 256])
def test_squeeze_and_excite_adds_two_c_squared_over_r_weights(channels: int) -> None:
    plain, squeezed = counts(Residual(channels)), counts(Residual(channels, squeeze=16))
    assert squeezed[0] - plain[0] == 2 * channels**2 // 16
    assert squeezed[1] - plain[1] == channels // 16 + channels


def test_squeeze_and_excite_scales_each_channel_by_its_own_gate() -> None:
    block = SqueezeExcite(4, 2)
    with torch.no_grad():
        block.excite.weight.zero_()
        block.excite.bias.copy_(torch.tensor([0.0, 100.0, -100.0, float(torch.tensor(3.0).log())]))
    maps = torch.rand(2, 4, 3, 3)
    gates = torch.tensor([0.5, 1.0, 0.0, 0.75])[:, None, None]
    assert torch.allclose(block(maps), maps * gates, atol=1e-6)


def test_squeeze_and_excite_looks_at_the_mean_of_the_whole_map() -> None:
    torch.manual_seed(0)
    block = SqueezeExcite(16)
    maps = torch.rand(1, 16, 4, 4)
    shuffled = maps.flatten(2)[:, :, torch.randperm(16)].view_as(maps)
    assert torch.allclose(block(maps) / maps, block(shuffled) / shuffled, atol=1e-6)


def test_a_ratio_that_does_not_divide_the_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="divides its 24 channels, not 16"):
        SqueezeExcite(24)


def test_a_residual_block_whose_branch_is_silent_is_the_identity() -> None:
    block = Residual(8, squeeze=4)
    last = block.branch[3]
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    maps = torch.randn(2, 8, 5, 5)
    assert torch.equal(block(maps), maps)


def test_an_impala_body_with_squeeze_is_the_same_body_plus_its_gates() -> None:
    plain, squeezed = counts(Impala((1, 28, 28))), counts(Impala((1, 28, 28), squeeze=16))
    assert squeezed[0] - plain[0] == sum(2 * 2 * c * c // 16 for c in (16, 32, 32))
    assert squeezed[1] - plain[1] == sum(2 * (c // 16 + c) for c in (16, 32, 32))


def test_dropout_silences_half_the_neurons_in_training_and_none_after() -> None:
    torch.manual_seed(0)
    body = MLP(10, (4000,), activation=dropping(nn.ReLU, 0.5))
    x = torch.rand(1, 10)
    whole = body.eval()(x)
    dropped = body.train()(x)
    alive = whole > 0
    kept = dropped[alive] > 0
    assert 0.46 < float(kept.float().mean()) < 0.54
    assert torch.allclose(dropped[alive][kept], 2 * whole[alive][kept])  # 1 / (1 - p)
    assert torch.equal(body.eval()(x), whole)


def test_a_body_with_dropout_has_the_same_weights_under_the_same_names() -> None:
    body, plain = MLP(10, (8, 4), activation=dropping(nn.ReLU, 0.5)), MLP(10, (8, 4))
    plain.load_state_dict(body.state_dict())
    x = torch.rand(3, 10)
    assert torch.equal(body.eval()(x), plain(x))


def test_an_inception_body_announces_what_each_listener_gets() -> None:
    body = InceptionBody((1, 8, 8))
    features, side = body.with_auxiliary(torch.rand(2, 1, 8, 8))
    assert features.shape == (2, body.out_features) == (2, SMALL[-1].out_channels)
    assert [s.shape[1] for s in side] == list(body.auxiliary_features)
    assert torch.equal(body(torch.zeros(2, 1, 8, 8)), body(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)))
    with pytest.raises(ValueError, match="too small for 3 blocks"):
        InceptionBody((1, 3, 3))


def test_the_lenet_of_the_digit_demonstration_has_62_902_parameters() -> None:
    body = LeNet((1, 32, 32))
    head = ProbabilityHead(body.out_features, 10, (120, 100))
    assert sum(len(seen) for seen in WIRING) == 60
    assert sum(counts(body)) == 156 + 1_516
    assert sum(counts(body)) + sum(counts(head)) == 62_902
    nodes = 32**2 + 6 * 28**2 + 6 * 14**2 + 16 * 10**2 + 16 * 5**2 + 120 + 100 + 10
    assert nodes == 9_134


def test_a_wired_convolution_sees_only_the_maps_it_is_wired_to() -> None:
    conv = WiredConv(3, ((0, 2), (1,)), 3)
    maps = torch.rand(1, 3, 5, 5)
    changed = maps.clone()
    changed[:, 1] += 1
    before, after = conv(maps), conv(changed)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])


def test_lenet_pads_smaller_digits_evenly_and_refuses_larger_ones() -> None:
    body = LeNet((1, 28, 28))
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    image[0, 0, 0, 0] = 255
    padded = torch.zeros(1, 1, 32, 32)
    padded[0, 0, 2, 2] = 1.0
    assert torch.allclose(body(image), body.layers(padded).flatten(1), atol=1e-6)
    with pytest.raises(ValueError, match="at most 32 x 32"):
        LeNet((1, 33, 28))
