"""A run's learning curve as a small CSV: what is committed under results/ of a run too large to commit.

python benchmarks/curve.py runs/breakout-fast-s0-20261125-182131 --out benchmarks/results/breakout.csv
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from rlrun.cli.run import Run, read_metrics

SECONDS = 30.0  # between two rows
COLUMNS = {  # of the CSV, from the report's fields
    "seconds": "seconds",
    "step": "step",
    "updates": "updates",
    "score_last_100": "score",
    "steps_per_second": "steps_per_second",
    "epsilon": "epsilon",
    "loss": "loss",
    "mean_q": "q",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run's folder, its name, or latest")
    parser.add_argument("--dir", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows: list[dict[str, str]] = []
    last = -SECONDS
    for report in read_metrics(Run.find(options.run, options.dir).metrics):
        if report["kind"] == "progress" and report["seconds"] >= last + SECONDS:
            last = report["seconds"]
            values = {column: report[field] for column, field in COLUMNS.items()}
            rows.append({column: "" if v is None else f"{v:.6g}" for column, v in values.items()})
            rows[-1] |= {column: str(values[column]) for column in ("step", "updates")}
    with options.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} rows in {options.out}")


if __name__ == "__main__":
    main()
