"""The examples: each is short, and does what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "examples"
EXAMPLES: dict[str, tuple[list[str], str]] = {
    "digits_with_a_q_networks_body.py": (["3"], "8 x 8 digits held out: 9"),
    "look_inside_an_agent.py": ([], "saliency.png"),
    "train_waterworld.py": (["3000", "200"], "in 200 steps: "),
}


def test_every_example_is_run_here_and_at_most_forty_lines_long() -> None:
    files = sorted(FOLDER.glob("*.py"))
    assert [file.name for file in files] == sorted(EXAMPLES)
    assert [file.name for file in files if len(file.read_text().splitlines()) > 40] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_does_what_it_says(name: str, tmp_path: Path) -> None:
    arguments, said = EXAMPLES[name]
    command = [sys.executable, str(FOLDER / name), *arguments]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, env=dict(os.environ))
    assert ran.returncode == 0, ran.stderr
    assert said in ran.stdout
