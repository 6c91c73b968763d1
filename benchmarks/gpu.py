"""Gpu: everything that is promised of one GPU, measured inside one ten-minute call and told as one table.

Each part runs in a process of its own and has a box of seconds: a part that hangs, runs out of memory or leaves the GPU
in an error costs its box and is told as a line, and the others still run. What a part has measured until then counts.
It needs torch, numpy, gymnasium and ale-py, and rlrun only as the checkout that this file lies in.
`--rehearse` takes the same path on a CPU with tiny sizes, in less than a minute: its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if importlib.util.find_spec("rlrun") is None:  # not installed: this checkout is the package, whatever its folder's name
    spec = importlib.util.spec_from_file_location("rlrun", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["rlrun"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["rlrun"])

import machine  # noqa: E402
import rounds  # noqa: E402
import torch  # noqa: E402
from gpu_parts import FULL, PARTS, TINY, Row  # noqa: E402

MARK = "row: "  # what a part's lines of results begin with


def in_process(part: str, options: argparse.Namespace, box: float) -> tuple[list[Row], str]:
    """Return what a part measured in a process of its own, and, if it did not come to its end, why."""
    command = [sys.executable, __file__, "--part", part, "--each", str(options.each)]
    if options.rehearse:
        command.append("--rehearse")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=box)
        failure = (
            "" if process.returncode == 0 else (err.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        )
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        failure = f"out of time after {box:.3g} s"
    if failure:
        print(f"--- {part}: {failure}\n{err[-3000:]}", file=sys.stderr, flush=True)
    return [json.loads(line[len(MARK) :]) for line in out.splitlines() if line.startswith(MARK)], failure


def main() -> None:
    options = _options()
    if options.part:
        torch.backends.cudnn.benchmark = not options.rehearse  # every batch of a part has the same shape
        if options.rehearse:
            torch.set_num_threads(1)
        size = TINY if options.rehearse else replace(FULL, seconds=options.each)
        for measured in PARTS[options.part][0](size):
            print(MARK + json.dumps(measured), flush=True)
        return
    start = time.perf_counter()
    told = [["part", "what", "value", "unit", "target", "met"]]
    rows: list[Row] = []
    failures: dict[str, str] = {}
    for part in options.parts:
        left = options.seconds - (time.perf_counter() - start)
        box = min(PARTS[part][1], left)
        measured, failure = in_process(part, options, box) if left > 1 else ([], "no time was left for it")
        for one in measured:
            rows.append({"part": part, **one, "met": met(one, options.rehearse)})
            target = "" if one["target"] is None else f"{one['target']:,.0f}"
            told.append([part, one["what"], f"{one['value']:,.4g}", one["unit"], target, rows[-1]["met"]])
        if failure:
            failures[part] = failure
            told.append([part, f"failed: {failure}", "", "", "", ""])
        print(
            f"{part}: {len(measured)} numbers, {time.perf_counter() - start:.0f} s so far", file=sys.stderr, flush=True
        )
    name = "rehearsal on a CPU" if options.rehearse else torch.cuda.get_device_name()
    print(f"{name}; {machine.cores()} cores; {time.perf_counter() - start:.0f} s")
    result = {"kind": "gpu", "device": name, "rows": rows, "failures": failures, "rehearsal": options.rehearse}
    rounds.tell(options, told, rows, result)
    if failures:
        sys.exit(1)


def met(measured: Row, rehearsal: bool) -> str:
    """Return whether a target is met, in a word; a rehearsal meets none."""
    if measured["target"] is None:
        return ""
    if rehearsal:
        return "rehearsed"
    return "yes" if measured["value"] >= measured["target"] else "no"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=560.0, help="for everything together")
    parser.add_argument("--each", type=float, default=FULL.seconds, help="seconds of a single measurement")
    parser.add_argument("--rehearse", action="store_true", help="the same on a CPU with tiny sizes")
    rounds.add_output(parser)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)  # what in_process asks for
    options = parser.parse_args()
    rounds.at_least(parser, options, seconds=1, each=0.01)
    if not options.rehearse and not torch.cuda.is_available():
        parser.error("torch sees no GPU; --rehearse takes the same path on a CPU")
    return options


if __name__ == "__main__":
    main()
