"""Steady: a run on a CPU as it is after its first thousands of updates and answers, without waiting for them."""

from rlrun.agents import policy, updates


def script_at_once() -> None:
    """Have agents and updates that are built from here on run as scripts from their first calls."""
    updates.SCRIPTED_AFTER = policy.SCRIPTED_AFTER = 0
