"""Window: the watched game in a window of its own, drawn by pygame."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType

from .errors import ENVIRONMENT, CommandError
from .moments import Frame, Moment
from .stage import Stage

_NO_SCREEN = "watch with --terminal or --video out.mp4 instead"


class Window:
    """Shows a game in a window, as a view of `rlrun watch`: q or Esc closes it, space pauses.

    Raises:
        CommandError: pygame is missing, or there is no display.

    """

    fps = 60.0
    paced = True  # plays at the game's own speed

    def __init__(self, stage: Stage, title: str, stopped: Callable[[], bool] = lambda: False) -> None:
        """Find pygame; the window opens on entering, and a pause ends when `stopped` tells so."""
        self._stage, self._title, self._stopped = stage, title, stopped
        self._pygame = _pygame()

    def __enter__(self) -> Window:
        """Open the window."""
        pygame = self._pygame
        try:
            if _headless(os.environ, sys.platform):
                raise pygame.error("no display")
            pygame.display.init()
            with warnings.catch_warnings(action="ignore"):  # of slow drivers
                self._surface = pygame.display.set_mode(self._stage.size, pygame.SCALED | pygame.RESIZABLE)
        except pygame.error:
            pygame.display.quit()
            raise CommandError(f"there is no display for a window: {_NO_SCREEN}", ENVIRONMENT) from None
        pygame.display.set_caption(f"{self._title} - space pauses, q closes")
        return self

    def __exit__(self, *_: object) -> None:
        """Close the window."""
        self._pygame.display.quit()

    def show(self, frame: Frame, moment: Moment) -> bool:
        """Draw one picture and, while paused, wait; return False once the window was closed."""
        pygame = self._pygame
        picture = self._stage.compose(frame, moment)
        pygame.surfarray.blit_array(self._surface, picture.swapaxes(0, 1))
        pygame.display.flip()
        paused = False
        while True:
            for event in pygame.event.get():
                if event.type == pygame.QUIT:
                    return False
                if event.type == pygame.KEYDOWN and event.key in (pygame.K_q, pygame.K_ESCAPE):
                    return False
                if event.type == pygame.KEYDOWN and event.key == pygame.K_SPACE:
                    paused = not paused
            if not paused or self._stopped():
                return True
            time.sleep(0.02)


def _headless(environment: Mapping[str, str], platform: str) -> bool:
    """Return whether there is surely no display; SDL would find out too, but not without noise on stderr."""
    told = any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"))
    return platform.startswith("linux") and not told


def _pygame() -> ModuleType:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it greets on stdout otherwise
    try:
        import pygame  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise CommandError(
            f"a window needs pygame: pip install 'rlrun[window]', or {_NO_SCREEN}", ENVIRONMENT
        ) from None
    module: ModuleType = pygame
    return module
