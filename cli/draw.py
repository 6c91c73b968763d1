"""rlrun draw: "draw your number here", and see what a trained classifier makes of it, layer by layer."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from .errors import CommandError


@click.command()
@click.argument("model")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in, for a tablet.")
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
def command(model: str, directory: Path, port: int, host: str, browser: bool) -> int:
    """Draw a digit in a local web page and see what a classifier makes of it.

    MODEL is the folder of a classifier that `rlrun classify` saved, its name, or `latest`. The page shows the first and
    the second guess and the activations of every layer; pointing at a neuron tells how its value comes about.
    """
    return draw(model, port=port, host=host, browser=browser, directory=directory)


def draw(
    model: str | Path,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    browser: bool = True,
    directory: str | Path = "runs",
) -> int:
    """Serve the pad as `rlrun draw` does until Ctrl-C or SIGTERM; return 130 or 143. Raises CommandError."""
    import torch

    from .model import find_classifier, open_model
    from .studio.pad import pad
    from .studio.server import listen, serve

    found = open_model(find_classifier(model, Path(directory)))
    if len(found.in_shape) != 3:
        raise CommandError(
            f"{found.folder.name} sees {found.in_shape[0]} numbers, no pictures: draw for a classifier of pictures, "
            "as rlrun classify --data mnist makes"
        )
    torch.set_num_threads(1)  # one picture at a time: a second thread would only wait
    return serve(pad(found), listen(host, port), browser=browser, tell=click.echo)
