"""Optimiser: Adam or RMSProp on float32 master weights of a network that may compute in bfloat16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .config import Config


class Optimiser:
    """Takes gradient steps on `network`.

    Where the network's weights are bfloat16, a float32 copy of each is what the optimiser moves (Micikevicius et al.
    2018): an Adam step is far smaller than bfloat16's rounding, so on the weights themselves most would be lost.
    """

    def __init__(self, network: nn.Module, config: Config) -> None:
        """Make the master weights and the optimiser that `config` names."""
        self._weights = [weight for weight in network.parameters() if weight.requires_grad]
        self._masters = [w if w.dtype == torch.float32 else w.detach().float() for w in self._weights]
        self._low = [i for i, (w, m) in enumerate(zip(self._weights, self._masters, strict=True)) if w is not m]
        for index in self._low:
            self._masters[index].grad = torch.zeros_like(self._masters[index])
        self._max_grad_norm = config.max_grad_norm
        settings: dict[str, Any] = {"lr": config.learning_rate, "eps": config.optimizer_eps}
        self._optimizer: torch.optim.Optimizer
        if config.optimizer == "adam":
            self._optimizer = torch.optim.Adam(self._masters, fused=True, **settings)
        else:
            self._optimizer = torch.optim.RMSprop(self._masters, alpha=0.95, centered=True, foreach=True, **settings)

    def set_learning_rate(self, learning_rate: float) -> None:
        """Use `learning_rate` from the next step on."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate

    def step(self, loss: Tensor) -> None:
        """Move the weights one step down the gradient of the scalar `loss`."""
        for weight in self._weights:
            weight.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        low: list[Tensor] = [self._weights[i] for i in self._low]
        masters = [self._masters[i] for i in self._low]
        if low:
            grads, low_grads = ([w.grad for w in ws if w.grad is not None] for ws in (masters, low))
            torch._foreach_copy_(grads, low_grads)
        if self._max_grad_norm:
            nn.utils.clip_grad_norm_(self._masters, self._max_grad_norm, foreach=True)
        self._optimizer.step()
        if low:
            with torch.no_grad():
                torch._foreach_copy_(low, masters)

    def state(self) -> dict[str, Tensor]:
        """Return the master weights and the optimiser's moments, by name, as flat tensors for a checkpoint."""
        tensors = {f"master.{i}": self._masters[i] for i in self._low}
        for i, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"moment.{i}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        return tensors

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        for i in self._low:
            self._masters[i].copy_(tensors[f"master.{i}"])
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("moment."):
                _, number, name = key.split(".", 2)
                moments.setdefault(int(number), {})[name] = self._laid_out(value, self._masters[int(number)])
        state = self._optimizer.state_dict()
        self._optimizer.load_state_dict({**state, "state": moments})

    @staticmethod
    def _laid_out(value: Tensor, master: Tensor) -> Tensor:
        """Return a copy of a moment in its weight's memory order: a file keeps shapes, but not channels-last strides.

        The fused step walks weight, gradient and moments side by side, so all must lie in memory alike.
        """
        return torch.empty_like(master).copy_(value) if value.shape == master.shape else value.clone()
