"""The classifier: a body that sees and a head that gives each class a probability, P(Y = k | x)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import dropping
from .cnn import CNN, ConvLayer
from .heads import ProbabilityHead
from .impala import Impala
from .inception import InceptionBody
from .lenet import LeNet
from .mlp import MLP

Shape = tuple[int, ...]
Image = tuple[int, int, int]  # (C, H, W)
SMALL_SIDE = 16  # pixels; up to here one max-pool is enough


class Resize(nn.Module):
    """Images as another body wants them: (B, c, h, w) -> (B, C, H, W), float32 in 0..1.

    Bilinear in space; a single channel is repeated, as a frame stack of something that stands still.
    """

    def __init__(self, in_shape: Image, out_shape: Image) -> None:
        """Raise ValueError if the channels cannot be matched."""
        super().__init__()
        if in_shape[0] not in (1, out_shape[0]):
            raise ValueError(f"images with {in_shape[0]} channels cannot be shown to a body that sees {out_shape[0]}")
        self.in_shape, self.out_shape = in_shape, out_shape

    def forward(self, images: Tensor) -> Tensor:
        """Return the images, resized."""
        if tuple(images.shape[1:]) != self.in_shape:
            raise ValueError(f"images of shape {self.in_shape} are expected, not {tuple(images.shape[1:])}")
        scaled = images.float() / 255 if images.dtype == torch.uint8 else images
        scaled = F.interpolate(scaled, self.out_shape[1:], mode="bilinear", align_corners=False)
        return scaled.expand(-1, self.out_shape[0], -1, -1)


class Classifier(nn.Module):
    """The probability of each class: x (B, ...) -> (B, K).

    The counterpart of a QNetwork on the same bodies. `auxiliary` heads listen to the body half-way (InceptionBody) and
    are there for training only. A `frozen` body keeps its weights and stays in `eval()`; only the heads learn.
    """

    def __init__(
        self,
        body: nn.Module,
        head: ProbabilityHead,
        auxiliary: Sequence[ProbabilityHead] = (),
        *,
        prepare: nn.Module | None = None,
        frozen: bool = False,
    ) -> None:
        """Join `body`, (B, ...) -> (B, F), and `head`, (B, F) -> (B, K); `prepare` makes inputs what `body` sees."""
        super().__init__()
        self.prepare = nn.Identity() if prepare is None else prepare
        self.body = body
        self.head = head
        self.auxiliary = nn.ModuleList(auxiliary)
        self.frozen = frozen
        body.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> Classifier:
        """Switch to training or evaluation, as a module does; a frozen body is always evaluated."""
        super().train(mode)
        if self.frozen:
            self.body.eval()
        return self

    def logits(self, x: Tensor) -> Tensor:
        """Return what the head says before the softmax, (B, K)."""
        logits: Tensor = self.head(self.body(self.prepare(x)))
        return logits

    def all_logits(self, x: Tensor) -> list[Tensor]:
        """Return the logits of every head, each (B, K): the head's, then the auxiliary ones'."""
        if not len(self.auxiliary):
            return [self.logits(x)]
        features, side = self.body.with_auxiliary(self.prepare(x))  # type: ignore[operator]
        return [self.head(features), *(head(seen) for head, seen in zip(self.auxiliary, side, strict=True))]

    def forward(self, x: Tensor) -> Tensor:
        """Return the probability of each class, (B, K)."""
        return self.head.probabilities(self.logits(x))


def log_likelihood(logits: Tensor, y: Tensor) -> Tensor:
    """Return LL, a scalar, of labels `y` (B,) int64 under logits (B, K): the sum of log softmax(logits)[y]."""
    return -F.cross_entropy(logits, y, reduction="sum")


def coarsen(probabilities: Tensor, coarse_of: Tensor) -> Tensor:
    """Return the probability of each coarse class, (B, C): the sum over the fine classes that belong to it.

    How Esteva et al. 2017 answer with few diseases after training on 757 classes.

    Args:
        probabilities: (B, K), of the fine classes.
        coarse_of: (K,) int64, the coarse class of each fine class, 0 to C - 1.

    """
    if coarse_of.shape != probabilities.shape[1:]:
        raise ValueError(f"a coarse class for each of {probabilities.shape[1]} classes is needed, not {len(coarse_of)}")
    sums = probabilities.new_zeros(len(probabilities), int(coarse_of.max()) + 1)
    return sums.index_add(1, coarse_of, probabilities)


def parameter_count(module: nn.Module) -> int:
    """Return how many numbers training sets in `module`, frozen ones included."""
    return sum(weight.numel() for weight in module.parameters())


# The ladder


def build_classifier(
    network: str, in_shape: Shape, classes: int, *, hidden: Sequence[int] | None = None, dropout: float = 0.0
) -> Classifier:
    """Return a classifier of `NETWORKS` for inputs of `in_shape`, (C, H, W) or (m,).

    Args:
        network: a name in `NETWORKS`.
        in_shape: of one input.
        classes: K.
        hidden: units of the hidden layers, the network's own if None: the MLP's body, the convolutional ones' head.
        dropout: the probability with which hidden neurons are turned off while training.

    Raises:
        ValueError: the network does not fit: no pictures, pictures too small, nothing to drop.

    """
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is a probability from 0 to below 1, not {dropout:g}")
    return NETWORKS[network](in_shape, classes, None if hidden is None else tuple(hidden), dropout)


def classifier_on(
    body: nn.Module,
    in_shape: Shape,
    classes: int,
    *,
    hidden: Sequence[int] = (),
    dropout: float = 0.0,
    frozen: bool = False,
) -> Classifier:
    """Return a classifier on a body that exists already, such as a Q-network's: the module itself, not a copy.

    Images of another size are resized for it. Raises ValueError where that makes no sense.
    """
    wanted: Shape = getattr(body, "in_shape", None) or (int(body.in_features),)  # type: ignore[arg-type]
    prepare = None
    if len(wanted) == 3 and len(in_shape) == 3 and in_shape != wanted:
        prepare = Resize(_image(in_shape, "this body"), _image(wanted, "this body"))
    elif len(wanted) != len(in_shape) or (len(wanted) == 1 and wanted != in_shape):
        raise ValueError(f"the body sees inputs of shape {wanted}, which these of shape {in_shape} cannot be made into")
    features = int(body.out_features)  # type: ignore[arg-type]
    return Classifier(body, ProbabilityHead(features, classes, hidden, dropout), prepare=prepare, frozen=frozen)


def _image(shape: Shape, who: str) -> Image:
    if len(shape) != 3:
        raise ValueError(f"{who} sees pictures, not {shape[0]} numbers: take logistic or mlp")
    return shape[0], shape[1], shape[2]


def _logistic(in_shape: Shape, classes: int, hidden: Shape | None, dropout: float) -> Classifier:
    if hidden or dropout:
        raise ValueError("logistic regression has no hidden neurons: take mlp for hidden layers or dropout")
    body = MLP(int(torch.Size(in_shape).numel()), ())
    return Classifier(body, ProbabilityHead(body.out_features, classes))


def _mlp(in_shape: Shape, classes: int, hidden: Shape | None, dropout: float) -> Classifier:
    # Points in the plane get the network of the ConvNetJS demonstration, 2-6-2-2 with tanh: 38 parameters.
    activation: Callable[[], nn.Module] = nn.ReLU if len(in_shape) == 3 else nn.Tanh
    widths = hidden or ((256, 128) if len(in_shape) == 3 else (6, 2))
    body = MLP(
        int(torch.Size(in_shape).numel()), widths, activation=dropping(activation, dropout) if dropout else activation
    )
    return Classifier(body, ProbabilityHead(body.out_features, classes))


def _cnn(in_shape: Shape, classes: int, hidden: Shape | None, dropout: float) -> Classifier:
    image = _image(in_shape, "a cnn")
    if max(image[1:]) <= SMALL_SIDE:
        layers = [ConvLayer(32, 3, 1, 1), ConvLayer(64, 3, 1, 1, pool=2)]
    else:
        layers = [ConvLayer(32, 5, 1, 2, pool=2), ConvLayer(64, 3, 1, 1, pool=2)]
    body = CNN(image, layers)
    return Classifier(body, ProbabilityHead(body.out_features, classes, hidden or (128,), dropout))


def _lenet(in_shape: Shape, classes: int, hidden: Shape | None, dropout: float) -> Classifier:
    body = LeNet(_image(in_shape, "lenet"))
    return Classifier(body, ProbabilityHead(body.out_features, classes, hidden or (120, 100), dropout))


def _inception(in_shape: Shape, classes: int, hidden: Shape | None, dropout: float) -> Classifier:
    body = InceptionBody(_image(in_shape, "inception"))
    side = [ProbabilityHead(features, classes) for features in body.auxiliary_features]
    return Classifier(body, ProbabilityHead(body.out_features, classes, hidden or (), dropout), side)


def _se_resnet(in_shape: Shape, classes: int, hidden: Shape | None, dropout: float) -> Classifier:
    body = Impala(_image(in_shape, "se-resnet"), layer_norm=True, squeeze=16)
    return Classifier(body, ProbabilityHead(body.out_features, classes, hidden or (), dropout))


def _nature(in_shape: Shape, classes: int, hidden: Shape | None, dropout: float) -> Classifier:
    _image(in_shape, "the Nature network")
    return classifier_on(CNN((4, 84, 84)), in_shape, classes, hidden=hidden or (512,), dropout=dropout)


NETWORKS: dict[str, Callable[[Shape, int, Shape | None, float], Classifier]] = {
    "logistic": _logistic,
    "mlp": _mlp,
    "cnn": _cnn,
    "lenet": _lenet,
    "inception": _inception,
    "se-resnet": _se_resnet,
    "nature": _nature,
}
"""Each takes the shape of an input, the classes, hidden widths (None for its own) and the dropout probability."""
