"""TensorBoard files of a run: the optional second home of its reports."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .errors import ENVIRONMENT, CommandError

if TYPE_CHECKING:
    from .report import Report
    from .run import Run


@contextlib.contextmanager
def tensorboard_writer(run: Run) -> Iterator[Callable[[Report], None]]:
    """Yield what writes a report into the run's TensorBoard files; raise CommandError without the package."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise CommandError("TensorBoard is not installed: pip install 'rlrun[tensorboard]'", ENVIRONMENT) from None
    writer = SummaryWriter(str(run.folder / "tensorboard"))

    def write(report: Report) -> None:
        for name in ("score", "epsilon", "loss", "q", "steps_per_second"):
            value = getattr(report, name)
            if value is not None:
                writer.add_scalar(name, value, report.step)

    try:
        yield write
    finally:
        writer.close()
