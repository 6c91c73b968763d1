"""rlrun presets: every setting of every preset, and how two of them differ."""

from __future__ import annotations

from typing import Any

import rich_click as click

from ..agents.config import Config, difference
from ..agents.presets import PRESETS, preset


@click.command("presets")
@click.argument("name", required=False)
@click.option("--diff", nargs=2, metavar="A B", help="Show only where two presets differ.")
def command(name: str | None, diff: tuple[str, str] | None) -> None:
    """List the presets, or show one whole, or compare two."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    if diff:
        for title in ("setting", *diff):
            table.add_column(title)
        for field, pair in difference(preset(diff[1]), preset(diff[0])).items():
            table.add_row(field, *(_spell(value) for value in pair))
    elif name:
        table.add_column("setting")
        table.add_column(name)
        for field, value in preset(name).as_dict().items():
            table.add_row(field, _spell(value))
    else:
        for title in ("preset", "is", "what it changes"):
            table.add_column(title)
        for each, (config, parent, line) in PRESETS.items():
            base = PRESETS[parent][0] if parent else Config()
            changes = ", ".join(f"{field}={_spell(new)}" for field, (_, new) in difference(config, base).items())
            table.add_row(each, line, f"{parent}: {changes}" if parent else "")
    Console().print(table)


def _spell(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
