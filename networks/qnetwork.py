"""The Q-network: a body that sees and a head that expects, E[R | s, a] for every action."""

import torch
from torch import Tensor, nn

from .heads import ActionHead, Stream


class QNetwork(nn.Module):
    """The expected return of each action: obs (B, ...) -> (B, actions), float32 in a float32 or mixed network."""

    def __init__(self, body: nn.Module, head: ActionHead) -> None:
        """Join `body`, obs (B, ...) -> (B, F), and `head`, (B, F) -> its outputs."""
        super().__init__()
        self.body = body
        self.head = head

    def outputs(self, obs: Tensor) -> Tensor:
        """Return what the head says, raw: (B, A), or (B, A, Z) from a distributional head."""
        outputs: Tensor = self.head(self.body(obs))
        return outputs

    def expectation(self, outputs: Tensor) -> Tensor:
        """Return the expected return of each action, (B, A), from raw outputs."""
        return self.head.expectation(outputs)

    def forward(self, obs: Tensor) -> Tensor:
        """Return the expected return of each action, (B, A)."""
        return self.expectation(self.outputs(obs))


def cast_hidden(network: QNetwork, dtype: torch.dtype) -> QNetwork:
    """Cast everything but the head's output layers and support to `dtype`, in place, and return the network.

    This is how a network computes in bfloat16: no autocast, which would cast the weights again at every call. The
    learner keeps its float32 master weights elsewhere. Memory formats stay as they are.
    """
    # The output layers stay: a return near 10 rounded to bfloat16's 8 bits is off by up to 0.03, as much as lies
    # between two actions, and an argmax over such numbers would choose by rounding.
    network.body.to(dtype)
    for module in network.head.modules():
        if isinstance(module, Stream):
            module.hidden.to(dtype)
    return network
