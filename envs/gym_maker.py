"""Making single gymnasium environments: by id, or from a person's own `module:Class` or `module:env_id`."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import gymnasium
from gymnasium.wrappers import TimeLimit

from .errors import UnknownWorld, WorldError, did_you_mean

# Takes a render mode, or None; returns one new environment.
Maker = Callable[[str | None], gymnasium.Env[Any, Any]]


def by_id(id: str, max_episode_steps: int | None = None) -> Maker:
    """Return a maker of a registered environment; max_episode_steps replaces its own cap, if given."""

    def make_one(render_mode: str | None) -> gymnasium.Env[Any, Any]:
        try:
            with warnings.catch_warnings():
                if render_mode is not None:  # a mode that is missing is an error below, not a warning
                    warnings.simplefilter("ignore")
                env = gymnasium.make(
                    id, render_mode=render_mode, max_episode_steps=max_episode_steps, disable_env_checker=True
                )
        except gymnasium.error.DependencyNotInstalled as error:
            extra = next((extra for extra in ("box2d", "pygame") if extra in str(error).lower()), "")
            remedy = {"box2d": "pip install 'rlrun[box2d]'", "pygame": "pip install 'rlrun[window]'"}.get(extra)
            raise WorldError(f"{id} needs a package that is not installed: {remedy or error}") from error
        except Exception as error:  # whatever the environment's own constructor raises
            raise WorldError(f"{id} cannot be made: {type(error).__name__}: {error}") from error
        return _drawing(env, id, render_mode)

    return make_one


def by_module(name: str, max_episode_steps: int | None = None) -> Maker:
    """Return a maker for `module:Class` (instantiated) or `module:env_id` (imported, then made by its id).

    The working directory is searched too, after everything installed. Raises WorldError if the module cannot be
    imported, and UnknownWorld with the nearest names if it has neither such a class nor such an id.
    """
    module_name, _, wanted = name.partition(":")
    known_before = set(gymnasium.registry)
    module = _imported(module_name, name)
    found = getattr(module, wanted, None)
    if isinstance(found, type) and issubclass(found, gymnasium.Env):
        return _by_class(found, name, max_episode_steps)
    if wanted in gymnasium.registry:
        return by_id(wanted, max_episode_steps)
    offered = {
        key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, gymnasium.Env)
    } | (set(gymnasium.registry) - known_before)
    offered.discard("Env")
    if found is not None:
        raise WorldError(f"{name} is not a gymnasium environment: {wanted} has to be a subclass of gymnasium.Env.")
    raise UnknownWorld(
        f"module {module_name} has no environment {wanted!r}"
        + did_you_mean(wanted.lower(), {key.lower(): f"{module_name}:{key}" for key in offered}, ".")
    )


def _by_class(cls: type[gymnasium.Env[Any, Any]], name: str, max_episode_steps: int | None) -> Maker:
    def make_one(render_mode: str | None) -> gymnasium.Env[Any, Any]:
        if render_mode is not None and render_mode not in cls.metadata.get("render_modes", ()):
            raise _cannot_draw(name, render_mode)
        try:
            env = cls() if render_mode is None else cls(render_mode=render_mode)  # type: ignore[call-arg]
        except Exception as error:  # whatever the person's own constructor raises
            raise WorldError(f"{name} cannot be made: {type(error).__name__}: {error}") from error
        return env if max_episode_steps is None else TimeLimit(env, max_episode_steps)

    return make_one


def _drawing(env: gymnasium.Env[Any, Any], name: str, render_mode: str | None) -> gymnasium.Env[Any, Any]:
    """Return the environment, or close it and raise WorldError if it does not draw in that mode."""
    if render_mode is not None and render_mode not in env.metadata.get("render_modes", ()):
        env.close()
        raise _cannot_draw(name, render_mode)
    return env


def _cannot_draw(name: str, render_mode: str) -> WorldError:
    return WorldError(f"{name} cannot be watched: its metadata has no render mode {render_mode!r}.")


def _imported(module_name: str, name: str) -> ModuleType:
    # An installed `rlrun` command does not look into the working directory, where a person's own world lies.
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(module_name)
    except Exception as error:  # a person's module may raise anything while it is imported
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise WorldError(f"there is no module {module_name!r} to import {name!r} from.") from error
        raise WorldError(f"module {module_name!r} cannot be imported: {type(error).__name__}: {error}") from error
