"""Startup: seconds until `rlrun --help` has answered, beside what the interpreter and the imports alone take."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from functools import partial

import machine
import rounds

JUDGED, GOAL = "rlrun --help", 1.5  # seconds
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import rlrun": ["-c", "import rlrun"],
    JUDGED: ["-m", "rlrun", "--help"],
    "rlrun envs breakout": ["-m", "rlrun", "envs", "breakout"],
    "rlrun presets": ["-m", "rlrun", "presets"],
    "import torch": ["-c", "import torch"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds.add_output(parser)
    options = parser.parse_args()
    rounds.at_least(parser, options, rounds=1)
    machine.warn_if_busy()
    for arguments in COMMANDS.values():
        started(arguments)  # the first start reads from the disk, and may have to compile
    rows = rounds.take_turns({name: partial(started, words) for name, words in COMMANDS.items()}, options.rounds)
    seconds = {name: told["seconds"] for name, told in rounds.medians(rows).items()}
    met = seconds[JUDGED] <= GOAL
    lines = [["command", "seconds", "goal"]]
    for name, spent in seconds.items():
        lines.append([name, f"{spent:.2f}", f"{GOAL}, {'met' if met else 'missed'}" if name == JUDGED else ""])
    rounds.tell(options, lines, rows, {"kind": "startup", "seconds": seconds, "goal": GOAL, "met": met})


def started(arguments: list[str]) -> rounds.Row:
    """Return the seconds that a fresh interpreter takes with these arguments, from start to end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    main()
