"""make: the one door to every world."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .gym_world import GymWorld
    from .world import World


def make(
    env: str,
    num_envs: int = 1,
    seed: int = 0,
    protocol: str = "machado",
    *,
    num_threads: int = 0,
    full_action_set: bool = False,
    max_episode_steps: int | None = None,
    device: str = "cpu",
) -> World:
    """Return num_envs copies of an environment that step together.

    env: an Atari game in any spelling, Waterworld or Waterworld-reinforcejs, a gymnasium id, or a world of your own as
    `module:Class` or `module:env_id`.
    seed: >= 0; each copy gets a seed of its own, hashed from it. protocol: "machado" or "nature", for Atari only.
    num_threads: emulator threads, 0 for min(cores, num_envs), Atari only. full_action_set: all 18 actions, Atari
    only. max_episode_steps: agent steps before truncation, instead of the environment's own cap. device: where they
    are learned from. On a GPU Waterworld's copies live there, their observations and actions tensors, and Atari's come
    as `Halves`, one of which can be acted for while the other steps.
    Raises WorldError, one sentence, for anything that does not fit; UnknownWorld for a name nobody answers to.
    """
    from .catalogue import find

    found = find(env)
    if found.kind == "atari":
        from .atari import AtariWorld
        from .halves import Halves

        def make_one(num_envs: int, seed: int) -> AtariWorld:
            return AtariWorld(
                found.id,
                num_envs,
                seed,
                protocol,
                num_threads=num_threads,
                full_action_set=full_action_set,
                max_episode_steps=max_episode_steps,
                background=device != "cpu",  # a GPU waits for the thread that feeds it
            )

        alone = device == "cpu" or num_envs == 1
        return make_one(num_envs, seed) if alone else Halves(make_one, num_envs, seed)
    if found.kind == "waterworld":
        from .waterworld.names import VARIANTS
        from .waterworld.world import ResidentWaterworld, WaterworldWorld

        kind = WaterworldWorld if device == "cpu" else ResidentWaterworld
        return kind(VARIANTS[found.id], num_envs, seed, max_episode_steps=max_episode_steps, device=device)
    return make_gym(found.id, num_envs, seed, max_episode_steps=max_episode_steps)


def make_gym(
    id: str, num_envs: int, seed: int, *, max_episode_steps: int | None, render_mode: str | None = None
) -> GymWorld:
    """Return copies of a gymnasium id or of `module:name`, drawn in render_mode if given."""
    from .gym_maker import by_id, by_module
    from .gym_names import KNOWN
    from .gym_world import GymWorld
    from .world import whole_number

    if max_episode_steps is not None:
        max_episode_steps = whole_number(max_episode_steps, "max_episode_steps", 1)
    make_one = by_module(id, max_episode_steps) if ":" in id else by_id(id, max_episode_steps)
    names = KNOWN[id].action_names if id in KNOWN else ()
    return GymWorld(make_one, id, num_envs, seed, action_names=names, render_mode=render_mode)
