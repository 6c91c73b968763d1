"""Registering Waterworld with gymnasium, at once or as soon as somebody imports gymnasium."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

ID = "rlrun/Waterworld-v0"
EPISODE_STEPS = 10_000  # before truncation: the task never ends by itself


def register() -> None:
    """Make `gymnasium.make` and `gymnasium.make_vec` know Waterworld; a second call does nothing."""
    import gymnasium

    if ID not in gymnasium.registry:
        gymnasium.register(
            ID,
            entry_point=f"{__package__}.env:WaterworldEnv",
            vector_entry_point=f"{__package__}.vector_env:WaterworldVectorEnv",
            max_episode_steps=EPISODE_STEPS,
        )


def register_when_imported() -> None:
    """Register now if gymnasium is loaded, else right after it is: `rlrun --help` has no use for it and would wait."""
    if "gymnasium" in sys.modules:
        register()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds gymnasium where it is, once, with the registration behind its own code."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return gymnasium's spec; None for every other module."""
        if name != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                register()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
