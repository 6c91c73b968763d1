"""main: the `rlrun` command; each subcommand is loaded when it is called, so that help is quick."""

from __future__ import annotations

import sys
from importlib import import_module

import rich_click as click

from .. import __version__
from .errors import run

COMMANDS = {  # name -> module, line of help
    "train": "Train an agent, save it, and tell how good it is.",
    "watch": "Watch a trained agent play, with what it expects of every action.",
    "evaluate": "Play whole episodes without learning and tell the score.",
    "classify": "Fit a classifier on the same networks, test it, and save it.",
    "inspect": "Look inside a classifier or an agent.",
    "draw": "Draw a digit in a web page and see what a classifier makes of it.",
    "plot": "Draw learning curves.",
    "envs": "List what can be trained.",
    "presets": "List the presets, or compare two.",
}


class Commands(click.RichGroup):
    """The subcommands, one module each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the subcommand called `name`; raise a usage error with the nearest names if there is none."""
        if name not in COMMANDS:
            from ..agents.config import nearest

            raise click.UsageError(f"unknown command {name!r}{nearest(name, COMMANDS)}", ctx)
        found: click.Command = import_module(f"..cli.{name}", __package__).command
        return found


@click.command(cls=Commands)
@click.version_option(__version__, prog_name="rlrun")
def cli() -> None:
    """Deep Q-learning that you can watch: train, resume, evaluate and see what the agent expects."""


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(cli))
