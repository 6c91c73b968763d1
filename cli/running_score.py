"""RunningScore: what a run's last episodes scored, and whether its agent is the best so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

RECENT = 100  # episodes in it
ENOUGH = RECENT // 5  # to tell how good an agent is


class RunningScore:
    """The scores of the last RECENT episodes, and the highest mean of such that a checkpoint has had."""

    def __init__(self) -> None:
        """Begin without any."""
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._best: float | None = None

    def add(self, score: float) -> None:
        """Count an episode."""
        self._recent.append(score)

    @property
    def mean(self) -> float | None:
        """The mean score, None before the first episode."""
        return float(np.mean(self._recent)) if self._recent else None

    def takes_lead(self) -> bool:
        """Return whether the agent at this checkpoint counts as the best so far; never before there are ENOUGH scores.

        To be asked once for each checkpoint, as it remembers the highest mean.
        """
        if self.mean is None or len(self._recent) < ENOUGH:
            return False
        best = self._best
        self._best = self.mean if best is None else max(self.mean, best)
        return keeps_up(self._recent, best)

    def state(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        return {"recent": list(self._recent), "best_score": self._best}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned; other values beside them do not matter."""
        self._recent.extend(state["recent"])
        self._best = state["best_score"]


def keeps_up(scores: Sequence[float], best: float | None) -> bool:
    """Return whether the mean of `scores`, two or more, is as high as the `best` mean so far, or lower by chance only.

    By chance: by no more than its standard error. Of two agents that this can't tell apart, the newer one has learned
    for longer. The best is the highest of all, so the agents that are kept do not sink step by step.
    """
    error = float(np.std(scores, ddof=1)) / len(scores) ** 0.5
    return best is None or float(np.mean(scores)) >= best - error
