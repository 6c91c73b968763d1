"""Server: a page on this machine, until Ctrl-C."""

from __future__ import annotations

import errno
import socket
import webbrowser
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from ..errors import ENVIRONMENT, CommandError
from ..stopper import Stopper


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at `host` and `port`, 0 for a free one; raise CommandError if it cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CommandError(f"there is no address {host!r} to serve at: {error.strerror}", ENVIRONMENT) from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(64)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} of {host} is taken: give another one, or --port 0 for a free one"
        elif error.errno == errno.EACCES:
            message = f"port {port} of {host} is not for everyone: give one above 1023, or --port 0 for a free one"
        else:
            message = f"{host} is no address of this machine: {error.strerror}"
        raise CommandError(message, ENVIRONMENT) from None
    return listening


def url_of(listening: socket.socket) -> str:
    """Return the address to type into a browser."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def server(page: Starlette) -> uvicorn.Server:
    """Return a quiet server for `page`, to be run with a listening socket."""
    return uvicorn.Server(
        uvicorn.Config(page, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    )


def serve(
    page: Starlette, listening: socket.socket, *, browser: bool, tell: Callable[[str], None] = print
) -> int:  # fmt: skip
    """Serve `page` at the socket until Ctrl-C or SIGTERM; return 130 or 143."""
    address = url_of(listening)
    with listening, Stopper() as stopper:  # uvicorn ends at a signal and then raises it once more, for the Stopper
        tell(f"{address} (Ctrl-C ends it)")
        if browser:
            webbrowser.open(address)
        server(page).run(sockets=[listening])
    return stopper.exit_code
