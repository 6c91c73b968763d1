"""CommandError: what ends a command, said in one sentence on stderr and as the exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import IO, Any

import rich_click as click

USAGE = 2  # what was asked for cannot be
ENVIRONMENT = 3  # the environment or the data
RESOURCES = 4  # memory or disk
DIVERGED = 5  # loss or weights are no numbers any more
INTERRUPTED = 130  # Ctrl-C


class CommandError(click.ClickException):
    """One sentence for a person, and the exit code that goes with it."""

    def __init__(self, message: str, exit_code: int = USAGE) -> None:
        """End the command with `exit_code`, saying `message`."""
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click means it as one a class

    def show(self, file: IO[Any] | None = None) -> None:
        """Write `error: <message>` to stderr."""
        say(self.message, file)


def run(command: click.Command, argv: Sequence[str] | None = None) -> int:
    """Run `command` with `argv` (the process's own by default) and return its exit code, every error said plainly.

    A command's own return value is the exit code if it is an int.
    """
    from ..agents.config import ConfigError
    from ..envs.errors import WorldError

    try:
        result = command.main(argv, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except CommandError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        hint = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
        say(f"{error.format_message()}{hint}")
        return USAGE
    except click.ClickException as error:
        say(error.format_message())
        return error.exit_code
    except ConfigError as error:
        say(str(error))
        return USAGE
    except WorldError as error:
        say(str(error))
        return ENVIRONMENT
    except MemoryError:
        say("the memory of this machine is used up")
        return RESOURCES
    except BrokenPipeError:  # the reader of our output, as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is silent
        return 1
    except OSError as error:
        say(_plainly(error))
        return RESOURCES if error.errno in (errno.ENOSPC, errno.EDQUOT) else ENVIRONMENT
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED


def say(message: str, file: IO[Any] | None = None) -> None:
    """Write `error: <message>` to `file`, or stderr, as one line."""
    click.echo(f"error: {' '.join(message.split())}", file=file, err=file is None)


def _plainly(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename else reason
