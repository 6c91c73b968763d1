"""Pad: the page that says "draw your number here", as an application for `server.serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ..model import Model
from .glance import glance, neuron

HERE = Path(__file__).parent
SIDE = 280  # pixels of the pad


def pad(model: Model) -> Starlette:
    """Return the page for a classifier of pictures.

    `/` is the page. A drawing comes as the body of a POST, SIDE x SIDE bytes, row by row, 0 paper to 255 ink: `/look`
    answers with `glance`, `/neuron?layer=L&unit=U` with `neuron`. Nothing is remembered between two requests.
    """

    async def about(request: Request) -> Response:
        described = model.description
        return JSONResponse({
            "title": f"{described['network']} on {described['data']}", "classes": model.classes, "side": SIDE,
            "shape": model.in_shape, "parameters": described["parameters"], "accuracy": described["test_accuracy"],
        })  # fmt: skip

    # The network is asked in the event loop itself: it takes milliseconds, and two glances never overlap.
    async def look(request: Request) -> Response:
        return JSONResponse(glance(model, await _ink(request)))

    async def ask(request: Request) -> Response:
        ink = await _ink(request)
        try:
            layer, unit = (int(request.query_params[key]) for key in ("layer", "unit"))
            return JSONResponse(neuron(model, ink, layer, unit))
        except (KeyError, ValueError):
            raise HTTPException(400, "a neuron is asked for by its numbers, as ?layer=1&unit=0") from None
        except IndexError as error:
            raise HTTPException(404, str(error)) from None

    def file(name: str) -> Route:
        async def send(request: Request) -> Response:
            return FileResponse(HERE / name, headers={"Cache-Control": "no-cache"})

        return Route("/" if name.endswith(".html") else f"/{name}", send)

    return Starlette(routes=[
        *map(file, ("pad.html", "pad.css", "pad.js", "layers.js")),
        Route("/about", about),
        Route("/look", look, methods=["POST"]),
        Route("/neuron", ask, methods=["POST"]),
    ])  # fmt: skip


async def _ink(request: Request) -> NDArray[Any]:
    """Return the drawing in a request, (SIDE, SIDE), 0 to 1; anything longer is not even read to its end."""
    wrong = HTTPException(400, f"a drawing is {SIDE} x {SIDE} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > SIDE * SIDE:
            raise wrong
    if len(body) != SIDE * SIDE:
        raise wrong
    return np.frombuffer(bytes(body), np.uint8).reshape(SIDE, SIDE) / 255
