"""rlrun inspect: a picture and arrays for each question, for classifiers and agents alike, and bad input."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import rlrun
from rlrun.agents import checkpoint as checkpoints
from rlrun.agents.frame_log import replayed
from rlrun.cli import evidence
from rlrun.cli.errors import ENVIRONMENT, USAGE, run
from rlrun.cli.inspect import QUESTIONS
from rlrun.cli.main import cli
from rlrun.cli.sheets import SHEETS
from rlrun.cli.subject import subject_of, visited
from rlrun.networks.digits import load_data


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small trained CNN."""
    folder = tmp_path_factory.mktemp("models")
    made = rlrun.classify("cnn", "digits", epochs=1, train_size=300, directory=folder)
    where: Path = made.folder
    return where


def test_every_question_has_a_sheet() -> None:
    assert set(SHEETS) == set(QUESTIONS)


def test_all_questions_are_answered_for_a_classifier(digits: Path, tmp_path: Path) -> None:
    answers = rlrun.inspect(digits, steps=8, out=tmp_path)
    assert set(answers.sheets) == set(QUESTIONS) - {"calibration"}  # a classifier expects no return
    for path in answers.sheets.values():
        with Image.open(path) as picture:
            assert min(picture.size) > 200
    x = load_data("digits").test.x
    assert answers.arrays["activations"]["body.layers.0"].shape == (1, 32, 8, 8)
    assert answers.arrays["top"]["values"].shape[0] == len(x)
    optimum = answers.arrays["optimal"]["3: optimum of the same length"]
    best = answers.arrays["optimal"]["3: best of the test data"]
    assert np.linalg.norm(optimum) == pytest.approx(np.linalg.norm(best), rel=1e-4)
    model = rlrun.load(digits)
    with torch.no_grad():
        values = [float(model.network.logits(torch.tensor(each)[None])[0, 3]) for each in (best, optimum)]
        assert values[0] == pytest.approx(float(model.network.logits(x)[:, 3].max()), rel=1e-4)
    assert values[1] > values[0]
    assert answers.arrays["dream"]["energy ratios"].min() > 1
    assert answers.arrays["style"]["style losses"][-1] < answers.arrays["style"]["style losses"][0]
    assert set(answers.arrays["saliency"]) == {"gradient", "perturbation", "SARFA"}
    assert any("best single neuron for 7" in note for note in answers.notes["top"])


def test_an_agent_that_sees_numbers_is_asked_what_fits(tmp_path: Path) -> None:
    settings = {"learning_starts": 100, "replay_capacity": 500, "num_envs": 2, "mlp_hidden": "8", "hidden": "8"}
    made = rlrun.train("CartPole-v1", steps=150, directory=tmp_path, evaluate=0, settings=settings)
    answers = rlrun.inspect("latest", states=40, steps=20, directory=tmp_path)
    assert set(answers.sheets) == {"activations", "top", "optimal", "saliency", "calibration"}
    expected = answers.arrays["calibration"]
    gap = expected["predicted"].mean() - expected["realised"].mean()
    assert f"over-estimation {gap:+.3g}" in answers.notes["calibration"][0]
    assert answers.sheets["top"].parent == made.folder / "inspect"
    assert answers.arrays["top"]["values"].shape == (40, 8)
    assert all(np.linalg.norm(each) > 0 for each in answers.arrays["optimal"].values())
    assert answers.arrays["saliency"]["gradient"].shape == (4,)
    assert any("from the nearest real input" in note for note in answers.notes["optimal"])
    assert set(answers.arrays["saliency"]) == {"gradient", "perturbation", "SARFA"}
    assert answers.arrays["saliency"]["perturbation"].max() > 0


def test_a_waterworld_agent_is_asked_which_eyes_it_hangs_on(tmp_path: Path) -> None:
    settings = {"learning_starts": 100, "replay_capacity": 2_000, "num_envs": 2, "mlp_hidden": "8", "hidden": "8"}
    made = rlrun.train("Waterworld", steps=1_200, directory=tmp_path, evaluate=0, settings=settings)
    answers = rlrun.inspect(made, ["top", "saliency"], states=200)
    perturbation = answers.arrays["saliency"]["perturbation"]
    assert perturbation.shape == (made.config.window, 32)
    assert (perturbation[:, :3] == perturbation[0, 0]).all()  # an eye's numbers, now and a step ago, are one part
    assert all("most salient eye sees an item in" in note for note in answers.notes["saliency"])
    assert visited(rlrun.load(made), 8, 0).shape == (8, made.config.window, 32)  # played with the agent's window


def test_the_numbers_that_saliency_is_believed_by_stand_on_its_sheet(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(evidence, "_save", lambda figure, out: drawn.append(figure))
    answers = rlrun.inspect(digits, ["saliency"], out=tmp_path)
    titles = [axes.get_title(loc="left") for axes in drawn[0].axes]
    for name in ("gradient", "perturbation", "SARFA"):
        note = next(note for note in answers.notes["saliency"] if note.startswith(name))
        assert note.removeprefix(f"{name}: ").replace("; ", "\n") in titles
        assert "deletion" in note
        assert "rank correlation" in note
    curves = [axes for axes in drawn[0].axes if axes.lines]
    assert [len(axes.lines) for axes in curves] == [4, 4, 4]  # deletion and insertion, and both in random order


def test_an_agent_is_shown_its_replay_and_plays_only_without_one(tmp_path: Path) -> None:
    settings = {"learning_starts": 100, "replay_capacity": 500, "num_envs": 2, "mlp_hidden": "8", "hidden": "8"}
    made = rlrun.train("CartPole-v1", steps=150, directory=tmp_path, evaluate=0, settings=settings)
    shown = subject_of(made.folder, tmp_path, None, 0, 40)
    assert shown.origin == "40 states of its replay"
    (checkpoint,) = checkpoints.candidates(made.checkpoints)
    kept = replayed(checkpoints.read(checkpoint), 1, 40)
    assert kept is not None
    assert torch.equal(shown.x, kept)
    for file in (made.folder / "frames").iterdir():
        file.unlink()
    fresh = subject_of(made.folder, tmp_path, None, 0, 40)
    assert fresh.origin == "40 states freshly played"
    assert not torch.equal(fresh.x, kept)


def test_an_atari_agent_is_shown_the_frames_that_it_plays(tmp_path: Path) -> None:
    settings = {"learning_starts": 100, "replay_capacity": 500, "num_envs": 2, "hidden": "16", "width": 0.125}
    made = rlrun.train("Pong", steps=120, directory=tmp_path, evaluate=0, preset="dqn", settings=settings)
    answers = rlrun.inspect(made.folder, ["activations", "saliency"], states=8, index=7)
    assert answers.arrays["activations"]["body.layers.0"].shape == (1, 4, 20, 20)
    assert answers.arrays["saliency"]["SARFA"].shape == (84, 84)
    dreams = rlrun.inspect(made.folder, ["dream"], states=8, steps=3).arrays["dream"]
    assert len(dreams["energy ratios"]) == 3  # a fourth octave of 31 x 31 pixels is too small for its convolutions


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["tops"], USAGE, "did you mean top"),
        (["top", "--layer", "body.layer.0"], USAGE, "nearest are body.layers.0"),
        (["saliency", "--output", "11"], USAGE, "unknown output '11'"),
        (["calibration"], USAGE, "a classifier expects no return"),
        (["saliency", "--input", "100000"], USAGE, "the inputs are 0 to 358"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_questions_are_answered_in_one_sentence(
    arguments: list[str], code: int, said: str, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cli, ["inspect", str(digits), *arguments]) == code
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert said in message


def test_a_network_without_convolutions_has_no_dreams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = rlrun.classify("mlp", "simple", epochs=1, directory=tmp_path)
    assert run(cli, ["inspect", str(made.folder), "dream"]) == USAGE
    assert "no convolutions to dream with" in capsys.readouterr().err
    assert run(cli, ["inspect", "nothing", "--dir", str(tmp_path)]) == ENVIRONMENT


def test_a_classifier_of_points_is_asked_about_both_numbers(tmp_path: Path) -> None:
    made = rlrun.classify("mlp", "circle", epochs=5, directory=tmp_path)
    answers = rlrun.inspect(made.folder, ["saliency"])
    assert answers.arrays["saliency"]["SARFA"].shape == (2,)
    assert not any("rank correlation" in note for note in answers.notes["saliency"])  # of two numbers it tells nothing


def test_inception_dreams_too(tmp_path: Path) -> None:
    made = rlrun.classify("inception", "digits", epochs=1, train_size=200, directory=tmp_path)
    answers = rlrun.inspect(made.folder, ["dream", "style"], steps=30)
    assert "the energy of blocks.2 grew" in answers.notes["dream"][0]
    assert answers.arrays["dream"]["energy ratios"].min() > 1
    assert answers.arrays["style"]["style losses"][-1] < answers.arrays["style"]["style losses"][0]
    assert answers.arrays["style"]["content losses"][-1] < answers.arrays["style"]["content losses"][0]
    named = rlrun.inspect(made.folder, ["dream"], steps=8, layer="body.blocks.1.five.2")
    assert "the energy of blocks.1.five.2 grew" in named.notes["dream"][0]


def test_layers_are_listed(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["inspect", str(digits), "--layers"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "body.layers.0"
