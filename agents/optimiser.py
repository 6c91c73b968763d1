"""Optimiser: Adam or RMSProp on float32 master weights of a network that may compute in bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.rmsprop import rmsprop as torch_rmsprop

from .config import Config

BETAS = (0.9, 0.999)  # how long Adam's two moments last
# Not torch's optimiser classes: making one of those imports torch's compiler, which takes longer than all the rest of
# starting to train; and the moments are plain lists here, which a checkpoint holds as they are.
MOMENTS = {"adam": ("exp_avg", "exp_avg_sq"), "rmsprop": ("square_avg", "grad_avg")}

FEW = 1 << 15
"""Weights up to which gradients are sooner laid side by side than the norm of each is found: a copy of 128 KB."""


def adam(
    weights: list[Tensor],
    grads: list[Tensor],
    mean: list[Tensor],
    square: list[Tensor],
    step: Tensor,
    learning_rate: float | Tensor,
    eps: float,
    excess: Tensor | None,
) -> None:
    """Take step number `step`, counted from 1, of Adam (Kingma & Ba 2015) by the gradients over `excess`, in place."""
    # What torch's own functional Adam calls in the end; it counts the steps of each weight apart, which takes longer
    # than the arithmetic of a small network.
    torch._fused_adam_(
        weights, grads, mean, square, [], [step] * len(weights), lr=learning_rate, beta1=BETAS[0], beta2=BETAS[1],
        weight_decay=0.0, eps=eps, amsgrad=False, maximize=False, grad_scale=excess,
    )  # fmt: skip


def rmsprop(
    weights: list[Tensor],
    grads: list[Tensor],
    square: list[Tensor],
    mean: list[Tensor],
    step: Tensor,
    learning_rate: float | Tensor,
    eps: float,
    excess: Tensor | None,
) -> None:
    """Take a step of centred RMSProp (Graves 2013), in place; it does not depend on its number, `step`."""
    if excess is not None:
        torch._foreach_div_(grads, excess)
    torch_rmsprop(
        weights, grads, square, mean, [], [torch.zeros_like(step) for _ in weights], foreach=True, alpha=0.95,
        lr=learning_rate,  # type: ignore[arg-type]  # a tensor is right where capturable
        eps=eps, weight_decay=0.0, momentum=0.0, centered=True, capturable=step.is_cuda,
    )  # fmt: skip


class Optimiser:
    """Takes gradient steps on `network`.

    Where the network's weights are bfloat16, a float32 copy of each is what the optimiser moves (Micikevicius et al.
    2018): an Adam step is far smaller than bfloat16's rounding, so on the weights themselves most would be lost.
    """

    def __init__(self, network: nn.Module, config: Config) -> None:
        """Make the master weights and the moments of the optimiser that `config` names."""
        self._weights = [weight for weight in network.parameters() if weight.requires_grad]
        self._masters = [w.detach() if w.dtype == torch.float32 else w.detach().float() for w in self._weights]
        self._low = {i for i, w in enumerate(self._weights) if w.dtype != torch.float32}  # which have such a copy
        self._like: list[Tensor] = self._masters  # what gradients are made like, once
        self._name, self._eps = config.optimizer, config.optimizer_eps
        self._learning_rate: float | Tensor = config.learning_rate
        self._max_grad_norm = config.max_grad_norm
        self._few = sum(weight.numel() for weight in self._weights) <= FEW
        self._within = torch.ones((), device=self._masters[0].device)
        self._moments = {name: [torch.zeros_like(m) for m in self._masters] for name in MOMENTS[self._name]}
        # In memory's own order: torch's Adam on a CPU would first copy gradients of another, as with the channels last.
        self._turned = {i for i, master in enumerate(self._masters) if not master.is_contiguous()}
        self._as_they_lie = [[*map(_as_it_lies, numbers)] for numbers in (self._masters, *self._moments.values())]
        self._step = torch.zeros((), device=self._masters[0].device)  # taken so far, of all weights alike
        self._moved: list[int] = []  # which of the weights the last gradients are of

    def set_learning_rate(self, learning_rate: float | Tensor) -> None:
        """Use `learning_rate` from the next step on: a number, or a float32 scalar on the network's GPU.

        The scalar is read by every step: that is how the rate of a captured step can change.
        """
        self._learning_rate = learning_rate

    @property
    def _named(self) -> dict[str, list[Tensor]]:
        """Everything that the optimiser remembers of each weight, by name."""
        return {**self._moments, "step": [self._step] * len(self._masters)}

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Return what `move` needs to go down the scalar `loss`.

        First how many times longer than they may be the gradients are together, one at least, which clips them; then
        the gradients, of the weights that have one.
        """
        found = torch.autograd.grad(loss, self._weights, allow_unused=True)
        self._moved = [i for i, grad in enumerate(found) if grad is not None]
        grads = [_made_like(self._like[i], grad) for i, grad in enumerate(found) if grad is not None]
        return [self._excess(grads), *grads]

    @torch.no_grad()
    def _excess(self, grads: list[Tensor]) -> Tensor:
        """Return the norm of all gradients over the largest allowed, or one where they keep to it; a scalar."""
        if not self._max_grad_norm:
            return self._within
        norm = torch.linalg.vector_norm(_gathered(grads) if self._few else torch.stack(_norms(grads)))
        excess: Tensor = (norm / self._max_grad_norm).clamp(min=1.0)
        return excess

    @torch.no_grad()
    def move(self, found: list[Tensor]) -> None:
        """Move the weights one step down the gradients that `gradients` found; they are used up."""
        excess, *grads = found
        for place, i in enumerate(self._moved):
            if i in self._turned:
                grads[place] = _as_it_lies(grads[place])
        masters, first, second = ([numbers[i] for i in self._moved] for numbers in self._as_they_lie)
        clips = excess if self._max_grad_norm else None
        self._step += 1
        take = adam if self._name == "adam" else rmsprop
        take(masters, grads, first, second, self._step, self._learning_rate, self._eps, clips)
        low = [i for i in self._moved if i in self._low]
        if low:
            torch._foreach_copy_([self._weights[i] for i in low], [self._masters[i] for i in low])

    def state(self) -> dict[str, Tensor]:
        """Return the master weights and the optimiser's moments, by name, for a checkpoint."""
        tensors = {f"master.{i}": self._masters[i] for i in self._low}
        for name, values in self._named.items():
            tensors |= {f"moment.{i}.{name}": value for i, value in enumerate(values)}
        return tensors

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state` returned.

        Copied into what is there: a file keeps shapes, but not channels-last strides, and a step walks weight, gradient
        and moments side by side, so all must lie in memory alike.
        """
        for i in self._low:
            self._masters[i].copy_(tensors[f"master.{i}"])
        for name, values in self._named.items():
            for i, value in enumerate(values):
                value.copy_(tensors[f"moment.{i}.{name}"])


def _made_like(tensor: Tensor, grad: Tensor) -> Tensor:
    """Return `grad` in the dtype and the memory layout of `tensor`, which a step walks side by side with it."""
    if grad.stride() != tensor.stride():
        return torch.empty_like(tensor).copy_(grad)
    return grad.to(tensor.dtype)


def _as_it_lies(tensor: Tensor) -> Tensor:
    """Return all numbers of `tensor`, in the order of memory where that is another than its own: a view."""
    return tensor if tensor.is_contiguous() else tensor.as_strided((tensor.numel(),), (1,))


def _gathered(grads: list[Tensor]) -> Tensor:
    """Return all numbers of `grads`, in float32, one after the other."""
    return torch.cat([grad.reshape(-1) for grad in grads]).float()


def _norms(grads: list[Tensor]) -> list[Tensor]:
    """Return the norm of each of `grads`, float32 scalars."""
    kinds = ([grad for grad in grads if (grad.dtype == torch.float32) == full] for full in (True, False))
    return [norm for kind in kinds if kind for norm in torch._foreach_norm(kind, 2, dtype=torch.float32)]
