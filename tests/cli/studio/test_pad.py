"""The pad's answers over HTTP: what the network gets, guesses, layers, neurons, and requests that make no sense."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any

import numpy as np
import pytest
import torch

from rlrun.cli.model import Model
from rlrun.cli.studio.drawing import as_seen
from rlrun.cli.studio.pad import SIDE


def ring() -> bytes:
    across = np.arange(SIDE) - SIDE / 2
    distance = np.hypot(across[:, None] / 100, across[None] / 70)
    return bytes((255 * ((distance > 0.8) & (distance < 1))).astype(np.uint8))


def post(url: str, body: bytes) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, body, method="POST")) as answer:
        return json.load(answer)


def values(layer: dict[str, Any]) -> Any:
    return np.frombuffer(base64.b64decode(layer["values"]), "<f4").reshape(layer["shape"])


def test_the_page_comes_whole_from_here(page: str) -> None:
    for name, kind in (
        ("", "text/html"),
        ("pad.css", "text/css"),
        ("pad.js", "javascript"),
        ("layers.js", "javascript"),
    ):
        with urllib.request.urlopen(page + name) as answer:
            assert kind in answer.headers["Content-Type"]
            text = answer.read().decode()
        assert not [line for line in text.splitlines() if "://" in line and "www.w3.org/2000/svg" not in line]


def test_a_look_is_what_the_model_says_to_the_framed_drawing(page: str, model: Model) -> None:
    found = post(page + "look", ring())
    seen = as_seen(np.frombuffer(ring(), np.uint8).reshape(SIDE, SIDE) / 255, 8, 8)[None]
    assert (values(found["layers"][0]) == seen).all()
    probabilities = model.probabilities(seen)
    assert [each["name"] for each in found["guesses"]] == [model.classes[k] for k in np.argsort(-probabilities)]
    assert [each["p"] for each in found["guesses"]] == pytest.approx(sorted(probabilities, reverse=True), abs=1e-6)
    assert np.allclose(values(found["layers"][-1]), probabilities, atol=1e-6)
    with torch.no_grad():
        first = model.network.body.layers[0](torch.tensor(seen)[None])[0]
    assert np.allclose(values(found["layers"][1]), first, atol=1e-6)
    assert found["layers"][1]["kind"] == "convolution 3 × 3"  # noqa: RUF001


def test_an_empty_drawing_has_layers_but_no_guess(page: str) -> None:
    found = post(page + "look", bytes(SIDE * SIDE))
    assert found["guesses"] is None
    assert not values(found["layers"][0]).any()


def test_a_neuron_is_told_with_its_strongest_connections(page: str) -> None:
    layers = post(page + "look", ring())["layers"]
    told = post(page + f"neuron?layer={len(layers) - 2}&unit=3", ring())
    assert told["value"] == pytest.approx(float(values(layers[-2])[3]), abs=1e-5)
    assert told["affine"]
    products = [each["value"] * each["weight"] for each in told["connections"]]
    assert len(products) == 24
    assert np.abs(products).tolist() == sorted(np.abs(products), reverse=True)
    assert sum(products) + told["others"]["sum"] + told["rest"] == pytest.approx(told["value"], abs=1e-4)


@pytest.mark.parametrize(
    ("where", "body", "code"),
    [
        ("look", b"short", 400), ("look", bytes(SIDE * SIDE + 1), 400), ("neuron?layer=1", ring(), 400),
        ("neuron?layer=one&unit=1", ring(), 400), ("neuron?layer=99&unit=0", ring(), 404),
        ("neuron?layer=1&unit=-1", ring(), 404), ("elsewhere", b"", 404),
    ],
)  # fmt: skip
def test_requests_that_make_no_sense_are_refused(page: str, where: str, body: bytes, code: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(page + where, body)
    assert refused.value.code == code
