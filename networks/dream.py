"""Dreams: images changed until a network's own features say more, Deep Dream, or say it in another style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .probe import ProbeError, evaluating, layer_named, recording


class Dream(NamedTuple):
    """A dreamt image, and how many times its layer's energy grew at each octave, the smallest first."""

    image: Tensor  # (C, H, W) in 0..1
    energy_ratios: tuple[float, ...]


class Styled(NamedTuple):
    """An image in a style, and both losses before each step and after the last one."""

    image: Tensor  # (C, H, W) in 0..1
    content_losses: tuple[float, ...]
    style_losses: tuple[float, ...]


def deep_dream(
    body: nn.Module, layer: str, image: Tensor, *, octaves: int = 4, octave_scale: float = 1.4, steps: int = 10,
    step_size: float = 0.02, jitter: int = 2, seed: int = 0,
) -> Dream:  # fmt: skip
    """Return `image`, (C, H, W) in 0..1, after gradient ascent on the energy of a convolutional `layer` of `body`.

    The energy is half the mean square of the layer's output. It starts on the smallest of `octaves` sizes, each
    `octave_scale` times the one before; what was dreamt there is enlarged and added to the next. Before each step the
    image is rolled by up to `jitter` pixels; a step is `step_size` times the gradient over its mean size.
    A layer is called by its path in the body, as "layers.3"; a block, "blocks.1", is one too. Mordvintsev et al. 2015.
    Raises ProbeError if the layer is no feature map, or the image too small for the octaves.
    """
    generator = torch.Generator().manual_seed(seed)
    height, width = image.shape[1:]
    sizes = [
        (round(height / octave_scale**k), round(width / octave_scale**k)) for k in reversed(range(octaves))
    ]  # fmt: skip
    detail = torch.zeros(1, image.shape[0], *sizes[0])
    ratios = []
    with evaluating(body):
        for size in sizes:
            base = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True)
            detail = F.interpolate(detail, size, mode="bilinear")
            x = (base + detail).clamp(0, 1)
            before = float(_energy(body, layer, x))
            for _ in range(steps):
                shift = [int(n) for n in torch.randint(-jitter, jitter + 1, (2,), generator=generator)]
                moved = x.roll(shift, (2, 3)).requires_grad_(True)
                (gradient,) = torch.autograd.grad(_energy(body, layer, moved), moved)
                gradient = gradient / gradient.abs().mean().clamp(min=1e-12)
                x = (moved.detach() + step_size * gradient).clamp(0, 1).roll([-n for n in shift], (2, 3))
            ratios.append(float(_energy(body, layer, x)) / max(before, 1e-12))
            detail = x - base
    return Dream(x[0], tuple(ratios))


def gram(features: Tensor) -> Tensor:
    """Return how the channels of feature maps go together, (B, C, H, W) -> (B, C, C): F F^T / (C H W)."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()


def style_loss(features: Sequence[Tensor], grams: Sequence[Tensor]) -> Tensor:
    """Return the mean square difference of the features' Gram matrices from `grams`, summed over the layers."""
    return torch.stack([F.mse_loss(gram(each), wanted) for each, wanted in zip(features, grams, strict=True)]).sum()


def style_transfer(
    body: nn.Module, content: Tensor, style: Tensor, *, content_layer: str, style_layers: Sequence[str],
    style_weight: float = 100.0, steps: int = 200, learning_rate: float = 0.05, seed: int = 0,
) -> Styled:  # fmt: skip
    """Return an image with the content of one image and the style of another, as `body`'s own features see them.

    Adam from grey noise on |features - content's|^2 / |content's|^2 + style_weight times `style_loss` over that of a
    grey image, so that both are measured in units of their own size. Gatys et al. 2015.

    Args:
        body: convolutional, with `maps` for images of any size.
        content: (C, H, W) in 0..1.
        style: (C, H, W) in 0..1.
        content_layer: whose output should be the content's.
        style_layers: whose Gram matrices should be the style's.
        style_weight: of the style against the content, 1 if both count alike.
        steps: of Adam.
        learning_rate: Adam's, in logits of a pixel.
        seed: of the noise.

    """
    names = [content_layer, *style_layers]
    generator = torch.Generator().manual_seed(seed)
    with evaluating(body):
        with torch.no_grad():
            wanted = _features(body, names[:1], content[None].float())[0]
            grams = [gram(each) for each in _features(body, list(style_layers), style[None].float())]
            unit = style_loss(_features(body, list(style_layers), torch.full_like(content[None].float(), 0.5)), grams)
        logit = (0.1 * torch.randn(1, *content.shape, generator=generator)).requires_grad_(True)
        optimiser = torch.optim.Adam([logit], learning_rate)
        losses: tuple[list[float], list[float]] = ([], [])
        for step in range(steps + 1):
            features = _features(body, names, torch.sigmoid(logit))
            of_content = (features[0] - wanted).square().sum() / wanted.square().sum().clamp(min=1e-12)
            of_style = style_loss(features[1:], grams) / unit.clamp(min=1e-12)
            losses[0].append(float(of_content.detach()))
            losses[1].append(float(of_style.detach()))
            if step < steps:
                (logit.grad,) = torch.autograd.grad(of_content + style_weight * of_style, logit)
                optimiser.step()
    return Styled(torch.sigmoid(logit).detach()[0], tuple(losses[0]), tuple(losses[1]))


def _features(body: nn.Module, names: Sequence[str], x: Tensor) -> list[Tensor]:
    """Return the feature maps of the layers `names` for images x of any size the layers can take."""
    look = getattr(body, "maps", None)  # past the body's own check: its convolutions take images of any size
    if look is None:
        raise ProbeError(f"a dream needs a body of convolutions, and {type(body).__name__} is none")
    for name in names:
        layer_named(body, name)
    try:
        with recording(body, names) as seen:
            look(x)
    except RuntimeError:
        raise ProbeError(f"an octave of {x.shape[2]} x {x.shape[3]} pixels is too small: take fewer octaves") from None
    maps = [seen[name] for name in names]
    if any(each.dim() != 4 for each in maps):
        raise ProbeError(f"layers that can be dreamt of are feature maps, and one of {', '.join(names)} is none")
    return maps


def _energy(body: nn.Module, layer: str, x: Tensor) -> Tensor:
    return 0.5 * _features(body, [layer], x)[0].square().mean()
