"""Evidence: the saliency sheet, what an output hangs on in one input, each map beside how far it can be believed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..networks.probe import scores
from ..networks.saliency import (
    Curves,
    Pointing,
    deletion_insertion,
    gradient_saliency,
    perturbation_saliency,
    pointing,
    randomised,
    rank_correlation,
    sarfa_saliency,
)
from .canvas import figure_titled, picture_of, show
from .parts import SIGHTS, TINTS
from .plot import COLORS, FAINT, _save

if TYPE_CHECKING:
    from .subject import Answer, Request, Subject

BATCH = 200
DRAWS = 5  # of a random order
Method = Callable[[nn.Module, Tensor, int], Tensor]  # network, input, output -> saliency


class Evidence(NamedTuple):
    """A saliency and what speaks for it."""

    saliency: Tensor
    curves: Curves
    shuffled: float  # rank correlation with what the same weights shuffled give: near 0 is good
    pointing: Pointing | None

    def lines(self, chance: Curves) -> list[str]:
        """Return the numbers as sentences, beside a random order's."""
        said = [
            f"deletion {self.curves.deletion:.3f}, in random order {chance.deletion:.3f} (low is good)",
            f"insertion {self.curves.insertion:.3f}, in random order {chance.insertion:.3f} (high is good)",
        ]
        if self.saliency.numel() > 2:  # of two numbers it is always 1 or -1
            said.append(f"rank correlation {self.shuffled:.2f} with shuffled weights (0 is good)")
        if self.pointing is not None and self.pointing.states:
            found = self.pointing
            said.append(
                f"most salient eye sees an item in {found.accuracy:.0%} of {found.states} states (chance "
                f"{found.chance:.0%})"
            )
        return said


def draw_saliency(subject: Subject, request: Request, out: Path) -> Answer:
    """Draw what an output hangs on in one input, three ways, and how far each can be believed."""
    network, x = subject.network, subject.x[request.index]
    with torch.no_grad():
        starts = range(0, len(subject.x), BATCH)
        choices = torch.cat([scores(network, subject.x[at : at + BATCH]).argmax(1) for at in starts])
    output = int(choices[request.index]) if request.output is None else request.output
    blank = None if subject.sees_images else subject.x.mean(0)
    other = randomised(network, request.seed)
    found = {}
    for name, method in _methods(subject, blank).items():
        saliency = method(network, x, output)
        found[name] = Evidence(
            saliency,
            deletion_insertion(network, x, output, saliency, blank=blank),
            rank_correlation(saliency, method(other, x, output)),
            _pointing(subject, method, choices),
        )
    generator = torch.Generator().manual_seed(request.seed)
    shape = x.shape[1:] if subject.sees_images else x.shape
    drawn = [
        deletion_insertion(network, x, output, torch.rand(shape, generator=generator), blank=blank)
        for _ in range(DRAWS)
    ]  # fmt: skip
    chance = Curves(*(torch.stack(curves).mean(0) for curves in zip(*drawn, strict=True)))
    title = f"{subject.title}: what {subject.outputs[output]} hangs on in input {request.index} of {subject.origin}"
    _draw(title, subject, x, found, chance, out)
    notes = [f"{name}: {'; '.join(each.lines(chance))}" for name, each in found.items()]
    return {name: each.saliency.numpy() for name, each in found.items()}, notes


def _methods(subject: Subject, blank: Tensor | None) -> dict[str, Method]:
    """Return the three saliencies by name, as the subject's inputs want them."""
    if subject.sees_images:
        side = min(subject.x.shape[2:])
        sigma, stride = (5.0, 5) if side >= 60 else (side / 14, max(1, side // 14))  # in proportion on small images
        how: dict[str, Any] = {"sigma": sigma, "stride": stride}
    else:
        how = {"blank": blank, "parts": None if subject.parts is None else subject.parts.masks}
    return {
        "gradient": gradient_saliency,
        "perturbation": lambda network, x, _: perturbation_saliency(network, x, **how),
        "SARFA": partial(sarfa_saliency, **how),
    }


def _pointing(subject: Subject, method: Method, choices: Tensor) -> Pointing | None:
    """Return how often the most salient eye sees an item, each state asked about its own choice; None without eyes."""
    parts = subject.parts
    if parts is None or parts.readings is None:
        return None
    eyes = len(parts.readings)
    right = parts.sights(subject.x) >= SIGHTS.index("apple")
    asked = right.any(1).nonzero()[:, 0]
    rows = [parts.values(method(subject.network, subject.x[at], int(choices[at])))[:eyes] for at in asked.tolist()]
    return pointing(torch.stack(rows), right[asked]) if rows else None


def _draw(
    title: str, subject: Subject, x: Tensor, found: dict[str, Evidence], chance: Curves, out: Path
) -> None:  # fmt: skip
    """Draw images beside each other with their curves below, numbers below each other with their curves beside."""
    count = len(found) + 1
    if subject.sees_images:
        figure = figure_titled(3.5 * count, 6.2, title)
        grid = figure.subplots(2, count, height_ratios=(1.5, 1)).T
    else:
        figure = figure_titled(13, 2.2 * count, title)
        grid = figure.subplots(count, 2, width_ratios=(2.4, 1))
    show(grid[0, 0], x, subject)
    grid[0, 0].set_title("the input", fontsize=9, loc="left")
    _explain(grid[0, 1])
    for (map_axes, curve_axes), (name, each) in zip(grid[1:], found.items(), strict=True):
        if subject.sees_images:
            map_axes.imshow(picture_of(x), cmap="gray", alpha=0.6)
            map_axes.imshow(each.saliency.numpy(), cmap="inferno", alpha=0.75)
            map_axes.axis("off")
        else:
            _draw_parts(map_axes, subject, x, each.saliency)
        map_axes.set_title(name, fontsize=9, loc="left")
        _draw_curves(curve_axes, each, chance)
    _save(figure, out)


def _draw_parts(axes: Any, subject: Subject, x: Tensor, saliency: Tensor) -> None:
    """Draw a bar for each part, an eye's in the colour of what it sees."""
    assert subject.parts is not None
    values = subject.parts.values(saliency).tolist()
    seen = subject.parts.sights(x[None])[0].tolist()
    axes.bar(range(len(values)), values, color=[*(TINTS[kind] for kind in seen), *[COLORS[0]] * len(values)])
    axes.set_ylim(0, None if max(values) > 0 else 1)
    axes.tick_params(labelsize=7)
    axes.set_xticks(range(len(values)), subject.parts.names, rotation=90 if len(values) > 16 else 0)
    if seen:
        from matplotlib.patches import Patch

        handles = [Patch(color=TINTS[kind], label=SIGHTS[kind]) for kind in sorted(set(seen))]
        axes.legend(handles=handles, title="the eye sees", fontsize=7, title_fontsize=7, frameon=False)


def _draw_curves(axes: Any, each: Evidence, chance: Curves) -> None:
    for (curve, usual), color in zip(zip(each.curves, chance, strict=True), COLORS, strict=False):
        share = np.linspace(0, 1, len(curve))
        axes.plot(share, usual.numpy(), color=color, linewidth=1.2, linestyle=":")
        axes.plot(share, curve.numpy(), color=color, linewidth=1.8)
    axes.margins(x=0.01)
    axes.tick_params(labelsize=7)
    axes.set_title("\n".join(each.lines(chance)), fontsize=7.5, loc="left", color=FAINT)


def _explain(axes: Any) -> None:
    """Say what the curves beside are."""
    from matplotlib.lines import Line2D

    axes.axis("off")
    handles = [
        Line2D([], [], color=COLORS[0], label="the most salient places deleted first"),
        Line2D([], [], color=COLORS[1], label="the most salient places inserted first"),
        Line2D([], [], color=FAINT, linestyle=":", label=f"the same in random order, mean of {DRAWS}"),
    ]
    axes.legend(
        handles=handles, loc="upper left", fontsize=8, frameon=False, title_fontsize=8, alignment="left",
        title="share of this output, softmax over all,\nagainst the share of the input deleted or inserted",
    )  # fmt: skip
