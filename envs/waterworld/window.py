"""Window: where the render mode "human" shows a world."""

from __future__ import annotations

import os
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ..errors import WorldError
from .layout import Layout


class Window:
    """A window that shows pictures at a pace; raises WorldError without pygame or a display."""

    def __init__(self, layout: Layout, fps: float) -> None:
        """Open it."""
        self._pygame = _pygame()
        self._fps = fps
        try:
            self._pygame.display.init()
            self._surface = self._pygame.display.set_mode((int(layout.width), int(layout.height)))
        except self._pygame.error as error:
            self._pygame.display.quit()
            raise WorldError(f'there is no display for a window ({error}): use render_mode="rgb_array".') from None
        self._pygame.display.set_caption(layout.name)
        self._clock = self._pygame.time.Clock()

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a picture, uint8 (height, width, 3), and wait until the next one is due."""
        self._pygame.event.pump()
        self._pygame.surfarray.blit_array(self._surface, picture.swapaxes(0, 1))
        self._pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Close it."""
        self._pygame.display.quit()


def _pygame() -> ModuleType:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it greets on stdout otherwise
    try:
        import pygame  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise WorldError("a window needs pygame: pip install 'rlrun[window]'.") from None
    module: ModuleType = pygame
    return module
