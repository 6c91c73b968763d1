import copy
import math

import pytest
import torch
from torch import nn

from rlrun.networks.layers import FEW, NoisyLinear, resample_noise, silence_noise


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_means_start_within_one_over_root_in_and_the_sigmas_at_sigma0_over_root_in() -> None:
    layer = NoisyLinear(400, 300, sigma0=0.4)
    reach = 1 / 20
    for mean in (layer.weight, layer.bias):
        assert mean.abs().max() <= reach
        assert mean.abs().max() > 0.95 * reach
        assert mean.std().item() == pytest.approx(reach / math.sqrt(3), rel=0.1)
    for sigma in (layer.weight_sigma, layer.bias_sigma):
        torch.testing.assert_close(sigma, torch.full_like(sigma, 0.4 * reach))


@pytest.mark.parametrize("batch", [1, FEW + 1])
def test_the_output_is_the_one_worked_out_by_hand(batch: int) -> None:
    layer = NoisyLinear(2, 1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
        layer.bias.copy_(torch.tensor([3.0]))
        layer.weight_sigma.copy_(torch.tensor([[0.5, 0.25]]))
        layer.bias_sigma.copy_(torch.tensor([0.1]))
        layer.noise_in.copy_(torch.tensor([2.0, -4.0]))
        layer.noise_out.copy_(torch.tensor([-3.0]))
    # weights 1 + .5 * -3 * 2 = -2 and 2 + .25 * -3 * -4 = 5, bias 3 + .1 * -3 = 2.7; -2 * 10 + 5 * 100 + 2.7
    out = layer(torch.tensor([[10.0, 100.0]], dtype=torch.float64).expand(batch, 2))
    torch.testing.assert_close(out, torch.full((batch, 1), 482.7, dtype=torch.float64))


def test_a_small_and_a_large_batch_are_computed_alike_with_their_gradients() -> None:
    layer = NoisyLinear(7, 5).double()
    x = torch.randn(2 * FEW, 7, dtype=torch.float64)
    scale = torch.randn(2 * FEW, 5, dtype=torch.float64)
    large = layer(x)
    small = torch.cat([layer(x[:FEW]), layer(x[FEW:])])
    torch.testing.assert_close(small, large)
    weights = list(layer.parameters())
    for by_small, by_large in zip(
        torch.autograd.grad((small * scale).sum(), weights),
        torch.autograd.grad((large * scale).sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(by_small, by_large)


def test_over_many_draws_the_output_has_the_mean_and_the_variance_of_factorised_noise() -> None:
    torch.manual_seed(0)
    layer = NoisyLinear(6, 4).double()
    x = torch.randn(1, 6, dtype=torch.float64)
    generator = seeded(1)
    draws = []
    with torch.no_grad():
        for _ in range(20_000):
            layer.resample(generator)
            draws.append(layer(x)[0])
        outputs = torch.stack(draws)
        mean = x @ layer.weight.T + layer.bias
        # f(noise) is symmetric with variance E|noise| = sqrt(2 / pi), and the factors are independent:
        # Var = sum_i (x_i sigma_i)^2 (2 / pi) + sigma_bias^2 sqrt(2 / pi)
        variance = (x.square() @ layer.weight_sigma.square().T) * 2 / math.pi
        variance = variance + layer.bias_sigma.square() * math.sqrt(2 / math.pi)
    torch.testing.assert_close(outputs.mean(0), mean[0], atol=5 * variance.max().sqrt().item() / 141, rtol=0)
    torch.testing.assert_close(outputs.var(0), variance[0], rtol=0.06, atol=0)


def test_one_draw_serves_the_whole_batch() -> None:
    layer = NoisyLinear(5, 3)
    x = torch.randn(1, 5)
    alone, together = layer(x), layer(x.expand(8, 5))
    torch.testing.assert_close(together, alone.expand(8, 3))


def test_a_layer_is_noisy_from_its_birth_on() -> None:
    layer = NoisyLinear(5, 3)
    assert layer.noise_in.abs().min() > 0
    assert layer.noise_out.abs().min() > 0


def test_silence_leaves_the_mean_layer_and_makes_it_deterministic() -> None:
    layer = NoisyLinear(5, 3)
    x = torch.randn(4, 5)
    noisy = layer(x)
    layer.silence()
    torch.testing.assert_close(layer(x), nn.functional.linear(x, layer.weight, layer.bias))
    assert not torch.allclose(noisy, layer(x))
    assert torch.equal(layer(x), layer(x))


def test_the_same_generator_state_gives_the_same_noise_and_the_next_draw_another() -> None:
    layer = NoisyLinear(5, 3)
    generator = seeded(7)
    layer.resample(generator)
    first = layer.noise_in.clone()
    layer.resample(generator)
    assert not torch.equal(layer.noise_in, first)
    layer.resample(seeded(7))
    assert torch.equal(layer.noise_in, first)


def test_a_generator_of_its_own_leaves_the_default_one_alone() -> None:
    layer = NoisyLinear(5, 3)
    before = torch.get_rng_state()
    layer.resample(seeded(7))
    assert torch.equal(torch.get_rng_state(), before)
    layer.resample()
    assert not torch.equal(torch.get_rng_state(), before)


def test_noise_in_bfloat16_is_the_float32_noise_rounded() -> None:
    layer, half = NoisyLinear(500, 400), NoisyLinear(500, 400).bfloat16()
    layer.resample(seeded(3))
    half.resample(seeded(3))
    assert half.noise_in.dtype == torch.bfloat16
    assert torch.equal(half.noise_in, layer.noise_in.bfloat16())
    assert torch.equal(half.noise_out, layer.noise_out.bfloat16())


def test_resampling_happens_in_place_as_graphs_and_compiled_code_need_it() -> None:
    layer = NoisyLinear(5, 3)
    places = layer.noise_in.data_ptr(), layer.noise_out.data_ptr()
    layer.resample()
    layer.silence()
    assert (layer.noise_in.data_ptr(), layer.noise_out.data_ptr()) == places


def test_a_checkpoint_restores_the_noise() -> None:
    layer, restored = NoisyLinear(5, 3), NoisyLinear(5, 3)
    restored.load_state_dict(copy.deepcopy(layer.state_dict()))
    x = torch.randn(4, 5)
    assert torch.equal(restored(x), layer(x))


def test_the_helpers_reach_every_noisy_layer_and_give_each_its_own_noise() -> None:
    inner = NoisyLinear(4, 4)
    tree = nn.Sequential(NoisyLinear(4, 4), nn.ReLU(), nn.ModuleDict({"deep": nn.Sequential(inner)}))
    resample_noise(tree, seeded(5))
    first = inner.noise_in.clone()
    assert not torch.equal(tree.get_buffer("0.noise_in"), first)
    resample_noise(tree, seeded(5))
    assert torch.equal(inner.noise_in, first)
    silence_noise(tree)
    assert all(not buffer.any() for buffer in tree.buffers())
