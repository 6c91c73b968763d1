import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlrun.networks.heads import ExpectationHead
from rlrun.networks.impala import Impala


def parameter_count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def conv_count(channels_in: int, channels: int) -> int:
    return 9 * channels_in * channels + channels


def pixels(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def test_the_large_network_of_espeholt_has_its_shape_and_parameters() -> None:
    body = Impala((4, 84, 84))
    assert body.out_shape == (32, 11, 11)
    stages = [(4, 16), (16, 32), (32, 32)]
    assert parameter_count(body) == sum(conv_count(a, b) + 4 * conv_count(b, b) for a, b in stages) == 97_744


def test_twice_as_wide_with_the_adaptive_pool_it_is_the_torso_of_the_2_91_million() -> None:
    body = Impala((4, 84, 84), width=2, pool=6, spectral=True)
    assert body.out_shape == (64, 6, 6)
    assert body.out_features == 2304
    assert parameter_count(body) == 389_024
    # The 2.91M of Clark et al. 2024 are met for 18 actions by the means of torso, two streams and cosine embedding.
    cosines = 64 * 2304 + 2304
    streams = parameter_count(ExpectationHead(2304, 18, (512,), dueling=True))
    assert parameter_count(body) + streams + cosines == 2_908_851


@pytest.mark.parametrize("shape", [(4, 84, 84), (3, 64, 40), (1, 9, 7)])
@pytest.mark.parametrize("pool", [None, 2, 6])
def test_the_announced_shape_is_the_real_one(shape: tuple[int, int, int], pool: int | None) -> None:
    body = Impala(shape, width=0.25, pool=pool)
    assert body.layers(torch.rand(2, *shape)).shape == (2, *body.out_shape)
    assert body(torch.rand(2, *shape)).shape == (2, body.out_features)


def test_the_features_are_those_of_the_formula() -> None:
    body = Impala((2, 9, 7), channels=[3], pool=2).double()
    x = torch.rand(2, 2, 9, 7, dtype=torch.float64)
    weights = iter(list(body.parameters()))

    def conv(maps: Tensor) -> Tensor:
        return F.conv2d(maps, next(weights), next(weights), padding=1)

    maps = F.max_pool2d(conv(x), 3, 2, 1)
    for _ in range(2):
        maps = maps + conv(F.relu(conv(F.relu(maps))))
    torch.testing.assert_close(body(x), F.adaptive_max_pool2d(F.relu(maps), 2).flatten(1))


def test_bytes_give_what_the_same_floats_over_255_give() -> None:
    body = Impala((4, 21, 21)).double()
    x = pixels(2, 4, 21, 21)
    torch.testing.assert_close(body(x), body(x.double() / 255))


def test_weights_lie_channels_last_and_it_makes_no_difference() -> None:
    body = Impala((4, 21, 21), spectral=True).eval()
    contiguous = copy.deepcopy(body)
    for weight in contiguous.parameters():
        assert weight.dim() != 4 or weight.is_contiguous(memory_format=torch.channels_last)
        weight.data = weight.data.contiguous()
    x = torch.rand(2, 4, 21, 21)
    torch.testing.assert_close(body(x), contiguous(x), atol=1e-5, rtol=1e-5)


def residual_norms(body: Impala) -> list[float]:
    """Return the largest singular value of every residual convolution's weights as they are applied."""
    residual = [m.weight for name, m in body.named_modules() if name.endswith(("branch.1", "branch.3"))]
    return [torch.linalg.matrix_norm(weight.detach().flatten(1), 2).item() for weight in residual]


def test_spectral_norm_is_exact_from_the_start_on_every_residual_convolution_and_on_no_other() -> None:
    body = Impala((4, 21, 21), spectral=True).eval()
    assert residual_norms(body) == pytest.approx([1.0] * 12, abs=1e-5)
    assert not any(hasattr(body.layers[i], "parametrizations") for i in (0, 4, 8))
    assert max(residual_norms(Impala((4, 21, 21)))) < 0.95


def test_spectral_norm_follows_the_weights_as_they_learn() -> None:
    torch.manual_seed(0)
    body = Impala((4, 21, 21), spectral=True)
    for _ in range(10):
        with torch.no_grad():
            for weight in body.parameters():
                weight += 0.002 * torch.randn_like(weight)
        body(pixels(2, 4, 21, 21))
    assert residual_norms(body.eval()) == pytest.approx([1.0] * 12, abs=0.05)


def test_a_target_network_takes_the_spectral_norm_over_with_the_state() -> None:
    body, target = (Impala((4, 21, 21), spectral=True).eval() for _ in range(2))
    target.load_state_dict(body.state_dict())
    x = pixels(2, 4, 21, 21)
    assert torch.equal(target(x), body(x))
    assert torch.equal(target(x), body(x))


@pytest.mark.parametrize("spectral", [False, True])
def test_bfloat16_stays_near_float32(spectral: bool) -> None:
    torch.manual_seed(0)
    body = Impala((4, 42, 42), pool=6, spectral=spectral).eval()
    half = copy.deepcopy(body).bfloat16()
    x = pixels(4, 4, 42, 42)
    exact = body(x)
    assert (half(x).float() - exact).norm() < 0.02 * exact.norm()


def test_wrong_shapes_and_no_stages_are_errors_that_say_so() -> None:
    with pytest.raises(ValueError, match=r"\(4, 21, 21\) are expected, not \(4, 21, 20\)"):
        Impala((4, 21, 21))(torch.rand(2, 4, 21, 20))
    with pytest.raises(ValueError, match="at least one stage"):
        Impala((4, 21, 21), channels=[])
