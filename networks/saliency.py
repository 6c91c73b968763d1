"""Saliency: which parts of an input an output hangs on, three ways, and the checks of whether that can be believed."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .probe import evaluating, scores

BATCH = 200


class Curves(NamedTuple):
    """The output's share of its whole value while the most salient pixels are deleted, or inserted; means over both."""

    deletion: float  # area under the curve, low is good
    insertion: float  # high is good


def gradient_saliency(network: nn.Module, x: Tensor, output: int) -> Tensor:
    """Return |d output / d x|, as `x` (...) is shaped; of images, (H, W), the largest over the channels.

    Simonyan et al. 2014. x is one input, bytes or floats in 0..1.
    """
    with evaluating(network):
        point = unit_range(x)[None].requires_grad_(True)
        (gradient,) = torch.autograd.grad(scores(network, point)[0, output], point)
    size = gradient[0].abs()
    return size.amax(0) if size.dim() == 3 else size


def perturbation_saliency(network: nn.Module, x: Tensor, *, sigma: float = 5.0, stride: int = 5) -> Tensor:
    """Return how much blurring around each pixel moves the outputs, (H, W): half their squared change.

    x (C, H, W). A Gaussian mask of `sigma` pixels every `stride` pixels, enlarged bilinearly. Greydanus et al. 2018.
    """
    whole, changed, grid = _perturbed(network, x, sigma, stride)
    return _enlarge(0.5 * (changed - whole).square().sum(1), grid, x)


def sarfa_saliency(network: nn.Module, x: Tensor, action: int, *, sigma: float = 5.0, stride: int = 5) -> Tensor:
    """Return how much blurring around each pixel takes from `action` and from no other, (H, W) in 0..1.

    The harmonic mean of relevance, the fall of softmax(Q)_a, and specificity, 1 / (1 + KL) over the other actions.
    Puri et al. 2020; masks as in `perturbation_saliency`. With two outputs there are no others to compare: 1.
    """
    whole, changed, grid = _perturbed(network, x, sigma, stride)
    relevance = (whole.softmax(1)[:, action] - changed.softmax(1)[:, action]).clamp(min=0)  # (M,)
    others = [k for k in range(whole.shape[1]) if k != action]
    before, after = whole[:, others].log_softmax(1), changed[:, others].log_softmax(1)
    divergence = (after.exp() * (after - before)).sum(1)
    specificity = 1 / (1 + divergence)
    return _enlarge(2 * specificity * relevance / (specificity + relevance).clamp(min=1e-12), grid, x)


@torch.no_grad()
def deletion_insertion(network: nn.Module, x: Tensor, output: int, saliency: Tensor, *, steps: int = 20) -> Curves:
    """Return the areas under the deletion and the insertion curve of an image's saliency (Petsiuk et al. 2018).

    Pixels go from the image to its blurred version (deletion), or come back (insertion), the most salient ones first.
    The curve is softmax(outputs)[output]. x (C, H, W), saliency (H, W).
    """
    image = unit_range(x)
    blurred = blur(image[None], max(image.shape[1:]) / 8)[0]
    rank = saliency.flatten().argsort(descending=True, stable=True).argsort()  # 0 is the most salient pixel
    counts = torch.linspace(0, rank.numel(), steps + 1).round()
    taken = (rank[None] < counts[:, None]).view(-1, 1, *image.shape[1:])  # (S, 1, H, W)
    with evaluating(network):
        curves = [scores(network, torch.where(mask, blurred, image)).softmax(1)[:, output] for mask in (taken, ~taken)]
    areas = [float(torch.trapezoid(curve, dx=1 / steps)) for curve in curves]
    return Curves(areas[0], areas[1])


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Return a copy of the network with new random weights: what a saliency that shows the network must not survive.

    The weight randomisation check of Adebayo et al. 2018. Weights of each tensor are shuffled, so their sizes stay.
    """
    other = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in other.parameters():
            flat = weight.reshape(-1)
            weight.copy_(flat[torch.randperm(flat.numel(), generator=generator)].view_as(weight))
    return other


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Return Spearman's rank correlation of two saliencies of one shape; 0 if one of them is constant."""
    from scipy.stats import rankdata

    ranks = [torch.as_tensor(rankdata(each.detach().flatten().numpy())) for each in (a, b)]
    first, second = (rank - rank.mean() for rank in ranks)
    length = float(first.norm() * second.norm())
    return float(first @ second) / length if length else 0.0


def blur(images: Tensor, sigma: float) -> Tensor:
    """Return images (B, C, H, W) blurred by a Gaussian of `sigma` pixels, edges repeated."""
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    flat = images.reshape(-1, 1, *images.shape[2:])
    flat = F.conv2d(F.pad(flat, (reach, reach, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    flat = F.conv2d(F.pad(flat, (0, 0, reach, reach), mode="replicate"), kernel.view(1, 1, -1, 1))
    return flat.view_as(images)


def unit_range(x: Tensor) -> Tensor:
    """Return bytes as floats in 0..1, floats as float32."""
    return x.float() / 255 if x.dtype == torch.uint8 else x.detach().float()


@torch.no_grad()
def _perturbed(network: nn.Module, x: Tensor, sigma: float, stride: int) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Return the outputs for `x`, (1, K), those for each blurred place, (M, K), and the grid of places."""
    if x.dim() != 3:
        raise ValueError(f"only images can be blurred, and an input of shape {tuple(x.shape)} is none")
    image = unit_range(x)
    height, width = image.shape[1:]
    rows, columns = torch.arange(stride // 2, height, stride), torch.arange(stride // 2, width, stride)
    blurred = blur(image[None], 3.0)[0]
    down = torch.exp(-((torch.arange(height)[None] - rows[:, None]) ** 2) / (2 * sigma**2))  # (R, H)
    across = torch.exp(-((torch.arange(width)[None] - columns[:, None]) ** 2) / (2 * sigma**2))  # (C, W)
    masks = (down[:, None, :, None] * across[None, :, None, :]).view(-1, 1, height, width)  # 1 at the middle
    changed = []
    with evaluating(network):
        whole = scores(network, image[None])
        for at in range(0, len(masks), BATCH):
            mask = masks[at : at + BATCH]
            changed.append(scores(network, image * (1 - mask) + blurred * mask))
    return whole, torch.cat(changed), (len(rows), len(columns))


def _enlarge(values: Tensor, grid: tuple[int, int], x: Tensor) -> Tensor:
    """Return one value a place, (M,), as a map of the image's size, (H, W)."""
    return F.interpolate(values.view(1, 1, *grid), x.shape[1:], mode="bilinear", align_corners=False)[0, 0]
