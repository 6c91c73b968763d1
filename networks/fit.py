"""Fitting a classifier: maximum likelihood by stochastic gradient steps, as a generator that yields where it stands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

from .classifier import Classifier, log_likelihood
from .digits import Examples

AUXILIARY_WEIGHT = 0.3  # of each auxiliary head's likelihood (Szegedy et al. 2015)
WARM_UP = 0.15  # share of the steps over which the step size rises
PREDICT_BATCH = 500
REPORTS = 20  # an epoch at most


@dataclass(frozen=True)
class Fitting:
    """Where a fit stands."""

    epoch: int  # whole passes over the training data so far
    epochs: int
    fraction: float  # of the whole fit
    seconds: float
    log_likelihood: float  # a training example, mean since the last report
    accuracy: float  # on the training batches since the last report
    test_accuracy: float | None  # after each epoch, None between


@dataclass(frozen=True)
class Score:
    """How a classifier does on some examples."""

    accuracy: float
    log_likelihood: float  # a mean over the examples, nats
    confusion: Tensor  # (K, K) int64: row the true class, column the guess
    probabilities: Tensor  # (n, K)

    def worst(self, y: Tensor, count: int) -> list[int]:
        """Return the indices of the mistakes about which it was surest, at most `count`, the worst first."""
        sureness, guess = self.probabilities.max(1)
        wrong = torch.where(guess != y, sureness, -1.0)
        order = wrong.argsort(descending=True, stable=True)[: min(count, int((guess != y).sum()))]
        return [int(index) for index in order]


def fit(
    network: Classifier,
    train: Examples,
    test: Examples | None = None,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-4,
    augment: bool = False,
    seed: int = 0,
) -> Iterator[Fitting]:
    """Raise the likelihood of `train` under `network`, in place, and yield where it stands, at most 20 times an epoch.

    The loss is the mean negative log-likelihood, plus 0.3 times that of every auxiliary head. AdamW; its step size
    rises to `learning_rate` over the first 15% of the steps and falls to zero as a cosine. After the last epoch the
    network is in `eval()`. Repeats bit for bit under the same seed on one machine and number of threads.

    Args:
        network: it learns in place; frozen weights stay.
        train: what it learns from.
        test: what `test_accuracy` is measured on after each epoch; it never learns from it.
        epochs: passes over the training data.
        batch_size: examples a step.
        learning_rate: the largest step size.
        weight_decay: AdamW's.
        augment: shift, turn and scale each image a little (up to 7%, 10 degrees, 10%); images only.
        seed: of the order, the dropout and the augmentation.

    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=weight_decay)
    generator = torch.Generator().manual_seed(seed)
    batches = math.ceil(len(train) / batch_size)
    every = max(1, batches // REPORTS)
    begin = perf_counter()
    sums = [0.0, 0.0, 0.0]  # log-likelihood, right guesses, examples, since the last report
    with torch.random.fork_rng(devices=[]):  # dropout draws from torch's own generator
        torch.default_generator.manual_seed(seed)
        state = torch.random.get_rng_state()
        for step in range(epochs * batches):
            epoch, batch = divmod(step, batches)
            if batch == 0:
                order = torch.randperm(len(train), generator=generator)
                network.train()
            torch.random.set_rng_state(state)  # whoever listens may have drawn numbers too
            chosen = train.take(order[batch * batch_size : (batch + 1) * batch_size])
            x = disturb(chosen.x, generator) if augment else chosen.x
            optimiser.param_groups[0]["lr"] = learning_rate * step_size(step / (epochs * batches))
            logits = network.all_logits(x)
            losses = [F.cross_entropy(each, chosen.y) for each in logits]
            loss = losses[0] + AUXILIARY_WEIGHT * sum(losses[1:], torch.zeros(()))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            state = torch.random.get_rng_state()
            sums[0] -= float(losses[0].detach()) * len(chosen)
            sums[1] += float((logits[0].argmax(1) == chosen.y).sum())
            sums[2] += len(chosen)
            last = batch == batches - 1
            if last or (batch + 1) % every == 0:
                test_accuracy = None
                if last and test is not None:
                    test_accuracy = score(network, test).accuracy
                yield Fitting(
                    epoch + last, epochs, (step + 1) / (epochs * batches), perf_counter() - begin,
                    sums[0] / sums[2], sums[1] / sums[2], test_accuracy,
                )  # fmt: skip
                sums = [0.0, 0.0, 0.0]
    network.eval()


def step_size(fraction: float) -> float:
    """Return the factor on the learning rate at `fraction` of the fit: up linearly, down as half a cosine."""
    if fraction < WARM_UP:
        return (fraction + 1e-3) / (WARM_UP + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (fraction - WARM_UP) / (1 - WARM_UP)))


def disturb(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return images (B, C, H, W), float32 in 0..1, each shifted, turned and scaled a little; black comes in at edges.

    Shifts up to 7% of the side (2 pixels of 28), turns up to 10 degrees, scales 0.9 to 1.1, all uniform.
    """
    x = images.float() / 255 if images.dtype == torch.uint8 else images
    draw = 2 * torch.rand(len(x), 4, generator=generator) - 1
    turn, scale = draw[:, 0] * math.radians(10), 1 + 0.1 * draw[:, 1]
    cos, sin = turn.cos() * scale, turn.sin() * scale
    shift = 2 * 0.07 * draw[:, 2:]  # in halves of the side, as affine_grid counts
    matrix = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


@torch.no_grad()
def predict(network: Classifier, x: Tensor) -> Tensor:
    """Return the logits, (n, K), of inputs (n, ...), in `eval()` and without gradients."""
    was = network.training
    network.eval()
    logits = torch.cat([network.logits(x[at : at + PREDICT_BATCH]) for at in range(0, len(x), PREDICT_BATCH)])
    network.train(was)
    return logits


def score(network: Classifier, examples: Examples) -> Score:
    """Return how `network` does on `examples`."""
    logits = predict(network, examples.x)
    classes = logits.shape[1]
    guess = logits.argmax(1)
    confusion = torch.bincount(examples.y * classes + guess, minlength=classes**2).view(classes, classes)
    return Score(
        float((guess == examples.y).float().mean()),
        float(log_likelihood(logits, examples.y)) / len(examples),
        confusion,
        logits.softmax(1),
    )
