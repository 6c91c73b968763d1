"""What thinks: bodies turn observations into features, heads turn features into expectations or probabilities."""

from .cnn import CNN, NATURE, ConvLayer, nature_layers
from .hat_linear import HatLinear
from .hats import HatFunctions
from .heads import ActionHead, CategoricalHead, EnsembleHead, ExpectationHead, ProbabilityHead, QuantileHead
from .impala import Impala
from .layers import NoisyLinear, resample_noise, silence_noise
from .mlp import MLP
from .qnetwork import QNetwork, cast_hidden

__all__ = [
    "CNN",
    "MLP",
    "NATURE",
    "ActionHead",
    "CategoricalHead",
    "ConvLayer",
    "EnsembleHead",
    "ExpectationHead",
    "HatFunctions",
    "HatLinear",
    "Impala",
    "NoisyLinear",
    "ProbabilityHead",
    "QNetwork",
    "QuantileHead",
    "cast_hidden",
    "nature_layers",
    "resample_noise",
    "silence_noise",
]
