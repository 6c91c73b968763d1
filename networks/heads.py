"""The heads: what turns a body's features into an expectation for each action, or into a probability for each class."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from .blocks import dropping
from .layers import NoisyLinear, cast_input


class Stream(nn.Module):
    """Hidden layers with ReLU, then one linear output layer: (B, in_features) -> (B, out_features).

    The two parts may have different dtypes, see `cast_hidden`: features are cast to whatever a part computes in.
    With `noisy`, every layer is a NoisyLinear. Weights start as PyTorch starts them, U(-1/sqrt(in), 1/sqrt(in)). With
    `layer_norm`, a LayerNorm stands before every ReLU, and the output layer starts at zero. With `dropout`, hidden
    neurons are turned off with that probability while training.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: Sequence[int],
        noisy: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        """Build one hidden layer for each width in `hidden`, and the output layer."""
        super().__init__()
        activation = dropping(nn.ReLU, dropout) if dropout else nn.ReLU
        linear: type[nn.Linear] | type[NoisyLinear] = NoisyLinear if noisy else nn.Linear
        widths = [in_features, *hidden]
        layers: list[nn.Module] = []
        for before, width in pairwise(widths):
            layers.append(linear(before, width))
            if layer_norm:
                layers.append(nn.LayerNorm(width))
            layers.append(activation())
        self.hidden = nn.Sequential(*layers)
        self.output = linear(widths[-1], out_features)
        if layer_norm:
            # Normalised features are ten times as large as those that PyTorch's weights are made for: Q-values would
            # start around +-0.4, their maximum above 1, and the bootstrap would take long to forget that.
            nn.init.zeros_(self.output.weight)
            nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return the outputs, (B, out_features), in the dtype of the output layer."""
        features = self.hidden(cast_input(self.hidden, features))
        outputs: Tensor = self.output(features.to(self.output.weight.dtype))
        return outputs


class ActionHead(nn.Module, ABC):
    """What stands on a Q-network's body: features (B, F) -> outputs (B, A), or (B, A, Z), and what they expect."""

    @abstractmethod
    def expectation(self, outputs: Tensor) -> Tensor:
        """Return the expected return of each action, (B, A), from this head's outputs."""

    @abstractmethod
    def raise_by(self, value: float) -> None:
        """Add `value` to all outputs, in place, whatever the features are: a constant has not to be learned then."""


class AtomHead(ActionHead):
    """A head of one or two streams: `atoms` outputs for each of `actions` actions.

    With `dueling`, the outputs are a value plus an advantage less its mean over the actions, atom by atom
    (Wang et al. 2016), from two streams that each have the `hidden` layers. With `noisy`, all layers are NoisyLinear;
    with `layer_norm`, the hidden ones are normalised before their ReLU.
    """

    def __init__(
        self,
        in_features: int,
        actions: int,
        atoms: int,
        hidden: Sequence[int],
        dueling: bool,
        noisy: bool,
        layer_norm: bool,
    ) -> None:
        """Build the one stream, or the two; raise ValueError without actions."""
        super().__init__()
        if actions < 1:
            raise ValueError(f"a head needs at least one action, not {actions}")
        self.actions = actions
        self.atoms = atoms
        self.advantage = Stream(in_features, actions * atoms, hidden, noisy, layer_norm)
        self.value = Stream(in_features, atoms, hidden, noisy, layer_norm) if dueling else None

    def atom_outputs(self, features: Tensor) -> Tensor:
        """Return the outputs, (B, A, Z), of features (B, F)."""
        outputs: Tensor = self.advantage(features).unflatten(1, (self.actions, self.atoms))
        if self.value is not None:
            value = self.value(features).unsqueeze(1)  # (B, 1, Z)
            outputs = value + outputs - outputs.mean(1, keepdim=True)  # V + A - mean_a A
        return outputs

    @torch.no_grad()
    def raise_by(self, value: float) -> None:
        """Add `value` to all outputs, in place."""
        stream = self.advantage if self.value is None else self.value
        stream.output.bias.add_(value)


class ExpectationHead(AtomHead):
    """One number for each action, E[R | s, a]: (B, in_features) -> (B, actions) (Mnih et al. 2015)."""

    def __init__(
        self,
        in_features: int,
        actions: int,
        hidden: Sequence[int] = (512,),
        dueling: bool = False,
        noisy: bool = False,
        layer_norm: bool = False,
    ) -> None:
        """Build the head; the arguments are AtomHead's."""
        super().__init__(in_features, actions, 1, hidden, dueling, noisy, layer_norm)

    def forward(self, features: Tensor) -> Tensor:
        """Return the expected return of each action, (B, A), from features (B, F)."""
        return self.atom_outputs(features).squeeze(-1)

    def expectation(self, outputs: Tensor) -> Tensor:
        """Return the outputs (B, A): they are the expectation."""
        return outputs


class CategoricalHead(AtomHead):
    """A distribution over `atoms` returns for each action: (B, in_features) -> logits (B, actions, atoms).

    The possible returns stand in the buffer `support`, (Z,), evenly from `v_min` to `v_max` (Bellemare et al. 2017).
    """

    support: Tensor

    def __init__(
        self,
        in_features: int,
        actions: int,
        atoms: int = 51,
        v_min: float = -10.0,
        v_max: float = 10.0,
        hidden: Sequence[int] = (512,),
        dueling: bool = False,
        noisy: bool = False,
        layer_norm: bool = False,
    ) -> None:
        """Build the head; raise ValueError if there are fewer than two atoms or no room between the ends."""
        if atoms < 2 or not v_min < v_max:
            raise ValueError(f"two atoms or more and v_min < v_max are needed, not {atoms} in [{v_min}, {v_max}]")
        super().__init__(in_features, actions, atoms, hidden, dueling, noisy, layer_norm)
        # z_i = v_min + i (v_max - v_min) / (Z - 1), rounded once: torch.linspace misses the zero in the middle.
        support = v_min + torch.arange(atoms, dtype=torch.float64) * ((v_max - v_min) / (atoms - 1))
        self.register_buffer("support", support.float())

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, A, Z) from features (B, F)."""
        return self.atom_outputs(features)

    def expectation(self, outputs: Tensor) -> Tensor:
        """Return the expected return of each action, (B, A), from logits (B, A, Z)."""
        return (outputs.softmax(-1) * self.support).sum(-1)  # sum_i p_i z_i


class QuantileHead(AtomHead):
    """Quantiles of the return for each action: (B, in_features) -> (B, actions, atoms) (Dabney et al. 2018).

    Output i stands for the level `levels[i]` = (2 i + 1) / 2 Z, a buffer, (Z,). Nothing forces them into order.
    """

    levels: Tensor

    def __init__(
        self,
        in_features: int,
        actions: int,
        atoms: int = 200,
        hidden: Sequence[int] = (512,),
        dueling: bool = False,
        noisy: bool = False,
        layer_norm: bool = False,
    ) -> None:
        """Build the head; raise ValueError without quantiles."""
        if atoms < 1:
            raise ValueError(f"a head needs at least one quantile, not {atoms}")
        super().__init__(in_features, actions, atoms, hidden, dueling, noisy, layer_norm)
        self.register_buffer("levels", (2 * torch.arange(atoms) + 1) / (2 * atoms))

    def forward(self, features: Tensor) -> Tensor:
        """Return quantiles (B, A, Z) from features (B, F)."""
        return self.atom_outputs(features)

    def expectation(self, outputs: Tensor) -> Tensor:
        """Return the expected return of each action, (B, A), the mean of its quantiles (B, A, Z)."""
        return outputs.mean(-1)


class EnsembleHead(ActionHead):
    """Opinions of `members` heads that share nothing: (B, in_features) -> expectations (B, actions, members).

    They start from different weights and each learns from its own target, so they err apart; acting by their mean
    takes much of the error out (Ensemble-DQN, Anschel et al. 2017). On a body without layers the members share nothing
    at all.
    """

    def __init__(
        self,
        in_features: int,
        actions: int,
        members: int = 5,
        hidden: Sequence[int] = (512,),
        dueling: bool = False,
        noisy: bool = False,
        layer_norm: bool = False,
    ) -> None:
        """Build the heads, each an ExpectationHead; raise ValueError without members."""
        super().__init__()
        if members < 1:
            raise ValueError(f"an ensemble needs at least one member, not {members}")
        self.members = nn.ModuleList(
            ExpectationHead(in_features, actions, hidden, dueling, noisy, layer_norm) for _ in range(members)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return what each member expects, (B, A, Z), from features (B, F)."""
        return torch.stack([member(features) for member in self.members], -1)

    def raise_by(self, value: float) -> None:
        """Add `value` to what each member expects, in place."""
        for member in self.members:
            assert isinstance(member, ExpectationHead)
            member.raise_by(value)

    def expectation(self, outputs: Tensor) -> Tensor:
        """Return the expected return of each action, (B, A), the mean of the members' (B, A, Z)."""
        return outputs.mean(-1)


class ProbabilityHead(nn.Module):
    """A probability for each class: (B, in_features) -> logits (B, classes). What a classifier stands under.

    With `dropout`, its features and its hidden neurons are turned off with that probability while training.
    """

    def __init__(self, in_features: int, classes: int, hidden: Sequence[int] = (), dropout: float = 0.0) -> None:
        """Build the head; raise ValueError if there are no classes."""
        super().__init__()
        if classes < 1:
            raise ValueError(f"a head needs at least one class, not {classes}")
        self.classes = classes
        self.dropout = nn.Dropout(dropout)
        self.stream = Stream(in_features, classes, hidden, dropout=dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, K) from features (B, F)."""
        logits: Tensor = self.stream(self.dropout(features))
        return logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of each class, (B, K), from logits (B, K)."""
        return logits.softmax(-1)
