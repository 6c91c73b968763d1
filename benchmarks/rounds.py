"""Rounds: variants that take turns, the medians over the rounds, and how they are told: a table, a CSV, a JSON object.

A machine that slows down slows whoever runs meanwhile. So no variant is measured to the end before the next one
begins: each gets a short turn in every round, and what counts is the median over the rounds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import machine

Row = dict[str, Any]


def take_turns(variants: Mapping[str, Callable[[], Row]], rounds: int) -> list[Row]:
    """Return one row for each round and variant: its number, the variant's name, and what the variant measured."""
    return [
        {"round": number, "variant": name, **measure()}
        for number in range(1, rounds + 1)
        for name, measure in variants.items()
    ]


def medians(rows: Iterable[Row]) -> dict[str, Row]:
    """Return, for each variant, the median over the rounds of every number that it measured."""
    by_variant: dict[str, list[Row]] = {}
    for row in rows:
        by_variant.setdefault(row["variant"], []).append(row)
    return {
        variant: {name: median(row[name] for row in of) for name in of[0] if name not in ("round", "variant")}
        for variant, of in by_variant.items()
    }


def seconds_a_call(call: Callable[[], object], seconds: float, settle: Callable[[], object] = bool) -> float:
    """Return the mean seconds of a call, over as many as fit into `seconds`, at least one.

    `settle` waits until what was called is really done, as a GPU needs; it runs before the clock starts and before it
    is read. A first call by itself tells how many calls there may be between two readings.
    """
    settle()
    start = time.perf_counter()
    call()
    settle()
    once = time.perf_counter() - start
    calls = max(1, int(seconds / max(once, 1e-7)))
    start = time.perf_counter()
    for _ in range(calls):
        call()
    settle()
    return (time.perf_counter() - start) / calls


def table(lines: Sequence[Sequence[str]]) -> str:
    """Return cells in columns, the first line their heads: words to the left, numbers to the right."""
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numbers = [all(not cell or cell[0] in "-0123456789" for cell in column[1:]) for column in columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, numbers, strict=True)
        ).rstrip()
        for line in lines
    )


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write every measurement, a row each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_json(path: Path, document: Row) -> None:
    """Write a JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(draft, path)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options that `tell` obeys."""
    parser.add_argument("--out", type=Path, help="a CSV file for every measurement")
    parser.add_argument("--json", action="store_true", help="close with one JSON object")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the option that changes a preset's settings."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as rlrun train takes it")


def settings_words(options: argparse.Namespace) -> list[str]:
    """Return the words of a command that repeat the settings asked for."""
    return [word for pair in options.set for word in ("--set", pair)]


def tell(options: argparse.Namespace, lines: Sequence[Sequence[str]], rows: Sequence[Row], result: Row) -> None:
    """Print the table; write the CSV and print the closing JSON object, with the machine in it, if asked for."""
    if options.out and rows:
        write_csv(options.out, rows)
    print(table(lines))
    if options.json:
        print(json.dumps({**result, "machine": machine.describe()}))


def at_least(parser: argparse.ArgumentParser, options: argparse.Namespace, **least: float) -> None:
    """End with a usage error if an option, or one number of it, is less than it may be."""
    for name, smallest in least.items():
        values = getattr(options, name)
        for value in values if isinstance(values, list) else [values]:
            if value < smallest:
                parser.error(f"--{name.replace('_', '-')} must be at least {smallest:g}, not {value:g}")
