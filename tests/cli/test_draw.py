"""rlrun draw: it serves until Ctrl-C, and says in one sentence what it cannot draw for."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import rlrun
from rlrun.cli.errors import ENVIRONMENT, USAGE, run
from rlrun.cli.main import cli


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a classifier of pictures."""
    folder = tmp_path_factory.mktemp("models")
    rlrun.classify("logistic", "digits", epochs=1, directory=folder)
    return folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_the_latest_classifier_until_it_is_told_to_stop(models: Path, number: int, code: int) -> None:
    command = [sys.executable, "-m", "rlrun", "draw", "latest", "--no-browser", "--dir", str(models)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(address) as answer:
            assert b"Draw your number here" in answer.read()
        process.send_signal(number)
        assert process.wait(20) == code
        assert process.stderr.read() == ""


def refusal(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    capsys.readouterr()
    assert run(cli, ["draw", *arguments, "--no-browser"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err


def test_a_port_that_is_taken(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refusal(capsys, ENVIRONMENT, "latest", "--dir", str(models), "--port", port)
    assert f"port {port} of 127.0.0.1 is taken" in said
    assert "--port 0" in said


def test_an_address_that_is_not_here(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, ENVIRONMENT, "latest", "--dir", str(models), "--host", "192.0.2.1")
    assert "192.0.2.1 is no address of this machine" in said


def test_a_model_that_is_missing_is_answered_with_the_nearest(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = next(models.iterdir()).name
    assert made in refusal(capsys, ENVIRONMENT, made[:-1] + "x", "--dir", str(models))


def test_no_model_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "rlrun classify" in refusal(capsys, ENVIRONMENT, "latest", "--dir", str(tmp_path))
    assert "rlrun classify" in refusal(capsys, ENVIRONMENT, "some", "--dir", str(tmp_path))


def test_a_run_of_an_agent_is_no_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pong").mkdir()
    (tmp_path / "pong" / "config.toml").write_text("")
    assert "run of an agent" in refusal(capsys, USAGE, "pong", "--dir", str(tmp_path))


def test_points_are_no_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rlrun.classify("logistic", "simple", epochs=1, directory=tmp_path)
    assert "sees 2 numbers, no pictures" in refusal(capsys, USAGE, "latest", "--dir", str(tmp_path))
