"""Model: a trained classifier in its folder, saved and loaded; the counterpart of a run's Player."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..agents import checkpoint as checkpoints
from ..agents.architecture import build_network
from ..agents.config import Config, nearest
from ..networks.classifier import Classifier, build_classifier, classifier_on, coarsen
from ..networks.fit import predict
from .errors import ENVIRONMENT, CommandError

FOLDER = "model"  # within the model's own folder


class Model:
    """A loaded classifier.

    Attributes:
        network: the Classifier itself, in `eval()`.
        classes: their names.
        in_shape: of one input, (C, H, W) or (m,).
        folder: where it is saved.
        description: how it was built, what it was trained on and how well it did, as plain values.

    """

    def __init__(self, network: Classifier, description: dict[str, Any], folder: Path) -> None:
        """Hold a trained `network` that `description` builds again."""
        self.network = network.eval()
        self.description = description
        self.folder = folder
        self.classes: tuple[str, ...] = tuple(description["classes"])
        self.in_shape: tuple[int, ...] = tuple(description["in_shape"])

    def probabilities(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Return the probability of each class, (n, K), of inputs `x` (n, *in_shape); without n for one input.

        Images are bytes or floats in 0..1. Raises ValueError for another shape.
        """
        batch = np.asarray(x)
        single = batch.ndim == len(self.in_shape)
        batch = batch[None] if single else batch
        if batch.shape[1:] != self.in_shape:
            raise ValueError(f"inputs have shape {batch.shape[1:]}, the model of {self.folder} sees {self.in_shape}")
        if batch.dtype != np.uint8:
            batch = batch.astype(np.float32)
        found: NDArray[np.float32] = predict(self.network, torch.as_tensor(batch.copy())).softmax(1).numpy()
        return found[0] if single else found

    def classify(self, x: NDArray[Any]) -> list[str] | str:
        """Return the name of the most probable class of each input; one name for one input."""
        best = self.probabilities(x).argmax(-1)
        return self.classes[int(best)] if best.ndim == 0 else [self.classes[int(k)] for k in best]

    def coarse(self, x: NDArray[Any], coarse_of: list[int]) -> NDArray[np.float32]:
        """Return the probability of each coarse class, (n, C), where `coarse_of` (K,) says which one a class is in."""
        sums: NDArray[np.float32] = coarsen(
            torch.as_tensor(np.atleast_2d(self.probabilities(x))), torch.tensor(coarse_of)
        ).numpy()
        return sums

    def save(self) -> None:
        """Write the model into its folder: weights as safetensors, the rest as JSON, each with its SHA-256."""
        weights = dict(self.network.state_dict())
        checkpoints.write(self.folder / FOLDER, 0, {"weights": weights}, self.description, [])


def build_body(description: dict[str, Any]) -> nn.Module:
    """Return the untrained body that `description` describes: an agent's or another classifier's."""
    if "config" in description:
        config = Config().with_settings(description["config"])
        return build_network(config, description["obs_shape"], 1).body
    return build(description).body


def build(description: dict[str, Any]) -> Classifier:
    """Return the untrained classifier that `description` describes."""
    in_shape, classes = tuple(description["in_shape"]), len(description["classes"])
    if description["body"] is not None:
        return classifier_on(
            build_body(description["body"]), in_shape, classes, hidden=description["hidden"] or (),
            dropout=description["dropout"], frozen=description["frozen"],
        )  # fmt: skip
    return build_classifier(
        description["network"], in_shape, classes, hidden=description["hidden"], dropout=description["dropout"]
    )


def find_model(name: str | Path, directory: Path) -> Path | None:
    """Return the folder of the classifier that `name` means, a folder or a name under `directory`; else None."""
    for folder in (Path(name), directory / name):
        if (folder / FOLDER / checkpoints.MANIFEST).is_file():
            return folder
    return None


def find_classifier(name: str | Path, directory: Path) -> Path:
    """Return the folder of the classifier that `name` means, a folder, a name under `directory` or "latest".

    Raises CommandError if there is none: a sentence with the nearest names, or that it is an agent's run.
    """
    known = [manifest.parents[1] for manifest in directory.glob(f"*/{FOLDER}/{checkpoints.MANIFEST}")]
    if str(name) == "latest" and known:
        return max(known, key=lambda folder: (folder / FOLDER / checkpoints.MANIFEST).stat().st_mtime)
    folder = find_model(name, directory)
    if folder is not None:
        return folder
    advice = "make one with rlrun classify --data mnist"
    if str(name) == "latest":
        raise CommandError(f"there is no classifier under {directory} yet: {advice}", ENVIRONMENT)
    if any((folder / "config.toml").is_file() for folder in (Path(name), directory / name)):
        raise CommandError(f"{str(name)!r} is the run of an agent, not a classifier: {advice}")
    hint = nearest(str(name), [each.name for each in known]) if known else f": {advice}"
    raise CommandError(f"there is no classifier {str(name)!r} here or under {directory}{hint}", ENVIRONMENT)


def open_model(folder: Path) -> Model:
    """Return the classifier saved in `folder`; raise CommandError if a byte of it is not as written."""
    try:
        saved = checkpoints.read(folder / FOLDER)
        description = saved.state()
        network = build(description)
        network.load_state_dict(saved.tensors("weights"))
    except checkpoints.CheckpointError as error:
        raise CommandError(str(error), ENVIRONMENT) from None
    except (KeyError, ValueError, RuntimeError) as error:
        raise CommandError(f"{folder} is of another version and cannot be loaded: {error}", ENVIRONMENT) from None
    return Model(network, description, folder)


def new_folder(directory: Path, stem: str) -> Path:
    """Make and return a new folder under `directory` named `stem` and the time."""
    stamp, copy = f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}", 1
    while True:
        folder = directory / (stamp if copy == 1 else f"{stamp}-{copy}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if not directory.is_dir():
                raise CommandError(f"{directory} is a file, not a folder for runs", ENVIRONMENT) from None
            copy += 1
