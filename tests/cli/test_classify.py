"""rlrun classify: from data to a saved classifier, bodies that move between agents and classifiers, and bad input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import rlrun
from rlrun.cli import plot
from rlrun.cli.classify import NETWORKS
from rlrun.cli.errors import ENVIRONMENT, USAGE, CommandError, run
from rlrun.cli.main import cli
from rlrun.cli.plane import decision_regions, telling_pair, warped
from rlrun.cli.reuse import body_of
from rlrun.cli.scorecard import confusion_lines
from rlrun.networks import classifier
from rlrun.networks.cnn import CNN
from rlrun.networks.digits import load_data
from rlrun.networks.fit import score

TINY = {"learning_starts": 100, "replay_capacity": 500, "num_envs": 2, "hidden": "16", "layer_norm": "false"}


def closing(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(cli, ["classify", *arguments, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(row["kind"] == "progress" for row in rows[:-1])
    last: dict[str, Any] = rows[-1]
    return last


def test_the_networks_offered_are_those_that_exist() -> None:
    assert set(NETWORKS) == set(classifier.NETWORKS)


def test_json_ends_with_the_accuracies_of_the_saved_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = closing(capsys, "--network", "logistic", "--epochs", "3", "--dir", str(tmp_path))
    assert last["parameters"] == 650
    assert last["seconds"] > 0
    model = rlrun.load(str(last["folder"]))
    data = load_data("digits")
    assert score(model.network, data.test).accuracy == last["test_accuracy"]
    assert score(model.network, data.train).accuracy == last["train_accuracy"]
    assert (Path(str(last["folder"])) / "classify.png").stat().st_size > 10_000


def test_a_loaded_model_answers_with_probabilities_and_names(tmp_path: Path) -> None:
    made = rlrun.classify("mlp", "digits", epochs=2, directory=tmp_path)
    model = rlrun.load(made.folder.name, directory=tmp_path)
    x = load_data("digits").test.x[:4].numpy()
    p = model.probabilities(x)
    assert p.shape == (4, 10)
    assert np.allclose(p.sum(1), 1, atol=1e-6)
    assert (p == made.probabilities(x)).all()
    assert model.classify(x) == [model.classes[k] for k in p.argmax(1)]
    assert model.classify(x[0]) == model.classify(x)[0]
    assert np.allclose(model.coarse(x, [k % 2 for k in range(10)])[:, 1], p[:, 1::2].sum(1), atol=1e-6)
    with pytest.raises(ValueError, match=r"shape \(3, 7, 7\)"):
        model.probabilities(np.zeros((3, 7, 7), np.uint8))


def test_a_spoiled_model_is_refused_by_name(tmp_path: Path) -> None:
    made = rlrun.classify("logistic", "simple", epochs=2, directory=tmp_path)
    weights = made.folder / "model" / "weights.safetensors"
    spoiled = bytearray(weights.read_bytes())
    spoiled[-1] ^= 1
    weights.write_bytes(spoiled)
    with pytest.raises(CommandError, match=r"weights.safetensors is damaged"):
        rlrun.load(made.folder)


def test_seeds_give_means_and_an_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--network", "mlp", "--train-size", "60", "--epochs", "2", "--seeds", "3", "--dropout")
    last = closing(capsys, *arguments, "--dir", str(tmp_path))
    by_seed = last["test_accuracy_by_seed"]
    assert isinstance(by_seed, list)
    assert len(set(by_seed)) > 1
    low, high = last["test_accuracy_interval"]
    half = 4.3027 * np.std(by_seed, ddof=1) / np.sqrt(3)  # Student's t with two degrees of freedom
    assert (low, high) == pytest.approx((np.mean(by_seed) - half, np.mean(by_seed) + half), abs=1e-4)
    assert (last["dropout"], last["train_size"], last["seeds"]) == (0.5, 60, [0, 1, 2])


def test_people_see_the_confusion_and_the_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["classify", "--network", "logistic", "--epochs", "2", "--dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "650 parameters, 1,438 examples" in said
    assert "test      " in said
    assert "training  " in said
    assert "log-likelihood -" in said
    assert "guess   0   1   2" in said
    assert "but it is" in said
    assert confusion_lines([[10, 0], [1, 205]], ["no", "yes"]) == [
        "     guess  no yes",
        " no         10   ·",
        "yes          1 205",
    ]
    names = ["red", "green"]
    assert confusion_lines([[1, 0], [0, 1]], names)[0] == "       guess   red green"
    widest = confusion_lines(np.eye(20, dtype=int).tolist(), [f"a long name {number}" for number in range(20)])
    assert max(map(len, widest)) <= 101


def test_points_that_no_line_separates_are_told_apart_by_a_small_network(tmp_path: Path) -> None:
    circle = rlrun.classify("mlp", "circle", directory=tmp_path).description
    assert (circle["parameters"], circle["test_accuracy"]) == (38, 1.0)
    assert rlrun.classify("logistic", "circle", directory=tmp_path).description["train_accuracy"] < 0.7
    assert rlrun.classify("mlp", "spiral", directory=tmp_path).description["test_accuracy"] >= 0.98


def test_the_fit_is_drawn_as_means_of_epochs_over_what_single_batches_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(plot, "_save", lambda figure, out: drawn.append(figure))
    made = rlrun.classify("mlp", "circle", epochs=7, directory=tmp_path)
    rows = [json.loads(line) for line in (made.folder / "metrics.jsonl").read_text().splitlines()]
    top = drawn[0].subfigs[0].axes[0]
    batches, means = top.lines
    assert batches.get_ydata().tolist() == [row["log_likelihood"] for row in rows]
    assert means.get_xdata().tolist() == list(range(1, 8))
    each = len(rows) // 7
    assert means.get_ydata()[2] == pytest.approx(np.mean([r["log_likelihood"] for r in rows[2 * each : 3 * each]]))


def test_a_taxonomy_gives_coarse_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    groups = tmp_path / "parity.json"
    groups.write_text(json.dumps({"even": list("02468"), "odd": list("13579")}))
    arguments = ("--network", "logistic", "--epochs", "2", "--dir", str(tmp_path), "--taxonomy", str(groups))
    last = closing(capsys, *arguments)
    assert last["coarse_accuracy"] > last["test_accuracy"]


def test_the_plane_is_divided_and_warped_as_the_network_sees_it(tmp_path: Path) -> None:
    model = rlrun.classify("mlp", "circle", epochs=60, directory=tmp_path)
    grid, p = decision_regions(model)
    assert grid.shape == (81, 81, 2)
    assert p[40, 40] > 0.9  # the middle is inside
    assert p[[0, 0, -1, -1], [0, -1, 0, -1]].max() < 0.1
    moved = warped(model, grid)
    assert moved.shape == grid.shape
    assert np.abs(moved).max() <= 1  # tanh


def test_the_two_neurons_that_tell_the_classes_apart_are_shown() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 50)
    features = rng.normal(size=(100, 6)).astype(np.float32)
    features[:, 1] = features[:, 4] + 0.1 * rng.normal(size=100) + 0.5 * y  # alone neither tells, together they do
    features[:, 2] += 1.5 * y
    assert telling_pair(features, y) == (1, 4)
    assert telling_pair(features[:, 1:2], y) == (0, 0)


def agent_run(folder: Path, game: str = "Pong", **more: object) -> "rlrun.Run":
    settings = {**TINY, "width": 0.25, **more}
    return rlrun.train(game, steps=150, directory=folder, evaluate=0, preset="dqn", settings=settings)


def test_an_agents_body_classifies_and_a_classifiers_body_starts_an_agent(tmp_path: Path) -> None:
    made = agent_run(tmp_path)
    agents = rlrun.load(made).agent.online.body.float()
    data = tmp_path / "shapes"
    for label, name in enumerate(("dark", "light")):
        (data / name).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (12, 12), 200 * label + number).save(data / name / f"{number}.png")

    frozen = rlrun.classify(data=str(data), body_from=made.folder, freeze=True, epochs=3, directory=tmp_path)
    body = frozen.network.body
    assert type(body) is type(agents) is CNN
    assert all(torch.equal(a, b) for a, b in zip(body.state_dict().values(), agents.state_dict().values(), strict=True))

    tuned = rlrun.classify(data=str(data), body_from=made.folder, epochs=3, directory=tmp_path)
    assert not torch.equal(tuned.network.body.layers[0].weight, agents.layers[0].weight)
    loaded = rlrun.load(tuned.folder)
    assert torch.equal(loaded.network.body.layers[0].weight, tuned.network.body.layers[0].weight)

    settings = {**TINY, "width": 0.25, "learning_starts": 400, "precision": "float32"}  # as the classifier's
    begun = rlrun.train(
        "Pong", steps=150, directory=tmp_path, evaluate=0, preset="dqn", settings=settings, body_from=tuned.folder
    )
    started = rlrun.load(begun).agent.online.body.float()  # it has not learned yet: the weights are the classifier's
    theirs = tuned.network.body.state_dict()
    assert all(torch.equal(weight, theirs[name]) for name, weight in started.state_dict().items())
    again, description = body_of(tuned.folder, tmp_path)
    assert type(again) is CNN
    assert description["network"] == "body-from"


def test_a_body_of_another_shape_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    model = rlrun.classify("mlp", "digits", epochs=1, directory=tmp_path)
    with pytest.raises(CommandError, match=r"does not fit: the agent's body is MLP\(.*which MLP\(256x64, 128x256\)"):
        rlrun.train("CartPole-v1", steps=150, directory=tmp_path, evaluate=0, body_from=model.folder)
    assert list(tmp_path.glob("cartpole*")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--network", "cnnn"], USAGE, "did you mean cnn"),
        (["--data", "mnits"], ENVIRONMENT, "known are digits"),
        (["--data", "mnist", "--data-dir", "nowhere"], ENVIRONMENT, "there is no folder nowhere"),
        (["--network", "cnn", "--data", "circle"], USAGE, "take logistic or mlp"),
        (["--network", "logistic", "--dropout"], USAGE, "no hidden neurons"),
        (["--network", "mlp", "--dropout", "1.5"], USAGE, "from 0 to below 1"),
        (["--network", "mlp", "--hidden", "a,b"], USAGE, "as 256,128"),
        (["--network", "mlp", "--data", "circle", "--augment"], USAGE, "leave it out for points"),
        (["--train-size", "5000"], ENVIRONMENT, "5,000 cannot be drawn"),
        (["--body-from", "nobody"], ENVIRONMENT, "there is no run 'nobody'"),
        (["--freeze"], USAGE, "--body-from"),
        (["--taxonomy", "missing.json"], ENVIRONMENT, "is no taxonomy"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_answered_in_one_sentence(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(cli, ["classify", *arguments]) == code
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert said in message
    assert list(tmp_path.glob("runs/*")) == []


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"even": list("02468"), "odd": list("1357")}, "class '9' once, not 0 times"),
        ({"even": list("02468"), "odd": list("135791")}, "class '1' once, not 2 times"),
        ({"even": list("02468"), "odd": [*"13579", "11"]}, "'11', which is no class; did you mean 1"),
        (["even", "odd"], "is no taxonomy"),
    ],
)
def test_a_taxonomy_that_does_not_cover_the_classes_is_refused(
    groups: object, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "groups.json"
    path.write_text(json.dumps(groups))
    assert run(cli, ["classify", "--taxonomy", str(path), "--dir", str(tmp_path)]) == ENVIRONMENT
    assert said in capsys.readouterr().err
