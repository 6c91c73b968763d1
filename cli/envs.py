"""rlrun envs: what can be trained here."""

from __future__ import annotations

import json

import rich_click as click


@click.command("envs")
@click.argument("search", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(search: str | None, as_json: bool) -> None:
    """List the environments, all or those whose name contains SEARCH."""
    from ..envs import UnknownWorld, trainable

    wanted = "".join(c for c in (search or "").lower() if c.isalnum())
    entries = [e for e in trainable() if wanted in "".join(c for c in e.id.lower() if c.isalnum())]
    if not entries:
        raise UnknownWorld(f"no environment's name contains {search!r}: rlrun envs lists them all")
    if as_json:
        for entry in entries:
            print(json.dumps(entry._asdict()))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("environment", "kind", "what it is"):
        table.add_column(title)
    for entry in entries:
        table.add_row(*map(str, entry))
    Console().print(table)
