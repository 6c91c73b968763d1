"""Stage: the picture of a watched agent, the game in its own colours beside what the agent expects of each action."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import ceil, floor, inf, isfinite, log10

import numpy as np

from . import paint
from .moments import Frame, Moment, spoken, told
from .paint import Picture

HEIGHT = 630  # of the game, at most, where a whole factor reaches it: 3 x 210 for Atari
LARGEST = 1080  # a game that is larger still is shown smaller
MARGIN = 26
PANEL_WIDTH = 400
ROWS_TOP = 238  # where the bars begin, below title and score
COLUMNS = (MARGIN, MARGIN + 132, MARGIN + 218, MARGIN + 296)  # of score, step, episode and lives
ENDLESS = 1e100  # values beyond this, as those of an agent that diverges, have no bar
MINUS = "\N{MINUS SIGN}"  # as wide as a digit, unlike the hyphen
MOST_ROWS = 32  # of more actions than this only the best are shown
ROW_HEIGHTS = (34, 18)  # with few actions and with many
CURVE_HEIGHTS = (56, 150)
RUNNING_STEPS = 1_000  # over which the reward a step is averaged
NARROW = 0.5  # values that all lie above this share of the largest are drawn from the least one, not from 0


class Stage:
    """Composes the pictures of one game; `size` (width, height) is even in both, as H.264 needs it.

    Args:
        title: the game's name.
        action_names: one name per action.
        shape: (height, width) of the game's frames, which are shown unblurred, a whole number of times larger.
        subtitle: a smaller line below the title.

    """

    def __init__(self, title: str, action_names: Sequence[str], shape: tuple[int, int], subtitle: str = "") -> None:
        """Lay the panel out and draw what never changes."""
        self._names = [spoken(name) for name in action_names]
        self._rows = min(len(action_names), MOST_ROWS)
        self._factor, self._stride = max(1, HEIGHT // shape[0]), max(1, ceil(max(shape) / LARGEST))
        height, width = (len(range(0, edge * self._factor, self._stride)) for edge in shape)
        least = ROWS_TOP + self._rows * ROW_HEIGHTS[1] + MARGIN
        few = ROWS_TOP + self._rows * ROW_HEIGHTS[0] + MARGIN
        tall = max(height, least, min(few + CURVE_HEIGHTS[0] + 62, 480))
        self._game_size = (height, width)
        self.size = (_even(width + PANEL_WIDTH), _even(tall))
        self._row_height = int(np.clip((self.size[1] - ROWS_TOP - MARGIN) // max(self._rows, 1), *ROW_HEIGHTS[::-1]))
        self._text_size = int(np.clip(self._row_height // 2, 10, 14))
        label = max((paint.width_of(name, self._text_size, True) for name in self._names), default=0)
        self._label_width = min(max(label, 44), 118) + 14
        curve_room = self.size[1] - self._rows_bottom - 62 - MARGIN
        self._curve_height = min(curve_room, CURVE_HEIGHTS[1]) if curve_room >= CURVE_HEIGHTS[0] else 0
        self._low, self._high = 0.0, 0.0  # the bars' scale, which only ever widens
        self._least = inf  # of all values so far
        self._span: tuple[float, float] | None = None  # the curve's, which follows it
        self._best: deque[float] = deque(maxlen=PANEL_WIDTH - 2 * MARGIN)
        self._gains: deque[float] = deque(maxlen=PANEL_WIDTH - 2 * MARGIN)
        self._trail: deque[tuple[int, float]] = deque()  # step and score, over the last steps of the episode
        self._score = 0.0
        self._seen: Moment | None = None
        self._still = self._draw_still(title, subtitle)
        self._canvas = np.empty((self.size[1], self.size[0], 3), np.uint8)
        self._canvas[:] = paint.NIGHT

    @property
    def _rows_bottom(self) -> int:
        return ROWS_TOP + self._rows * self._row_height

    @property
    def _sparse(self) -> bool:
        """Whether rewards are rare; where every step brings one, a mark for each would tell nothing."""
        return 3 * sum(gain != 0 for gain in self._gains) < len(self._gains)

    def compose(self, frame: Frame, moment: Moment) -> Picture:
        """Return the picture (height, width, 3) uint8 of `frame` as a part of `moment`."""
        if moment is not self._seen:
            self._note(moment)
            self._canvas[:, -PANEL_WIDTH:] = self._draw_panel(moment)
        height, width = self._game_size
        top = (self.size[1] - height) // 2
        game = frame.repeat(self._factor, 1)[:: self._stride, :: self._stride]
        for row in range(self._factor):  # a world may change the size of its frames, so both sides are cut
            rows = self._canvas[top + row : top + height : self._factor, :width]
            part = game[: len(rows), :width]
            rows[: len(part), : part.shape[1]] = part
        return self._canvas.copy()

    def _note(self, moment: Moment) -> None:
        """Take the moment into the scales and the curve."""
        known = moment.q[np.abs(moment.q) < ENDLESS]
        if len(known):
            self._low, self._high = min(self._low, float(known.min())), max(self._high, float(known.max()))
            self._least = min(self._least, float(known.min()))
        opening = moment.action is None
        gain = 0.0 if opening else moment.score - self._score
        if self._seen is None or not opening:
            self._best.append(float(known.max()) if len(known) else 0.0)
            self._gains.append(gain)
        self._score = moment.score
        if opening:
            self._trail.clear()
        self._trail.append((moment.step, moment.score))
        while moment.step - self._trail[0][0] > RUNNING_STEPS:
            self._trail.popleft()
        self._seen = moment

    def _draw_still(self, title: str, subtitle: str) -> Picture:
        panel = np.empty((self.size[1], PANEL_WIDTH, 3), np.uint8)
        panel[:] = paint.PANEL
        panel[:, 0] = paint.LINE
        room = PANEL_WIDTH - 2 * MARGIN
        text, size = paint.fitting(title, 30, room, bold=True, least=16)
        paint.write(panel, text, MARGIN, 30, size, paint.TEXT, bold=True)
        text, size = paint.fitting(subtitle, 13, room, least=10)
        paint.write(panel, text, MARGIN, 68, size, paint.FAINT)
        for heading, column in zip(("SCORE", "STEP", "EPISODE"), COLUMNS, strict=False):
            paint.write(panel, heading, column, 108, 11, paint.FAINT)
        panel[178, MARGIN:-MARGIN] = paint.LINE
        paint.write(panel, "E[R | a]", MARGIN, 198, 14, paint.TEXT, bold=True)
        paint.write(panel, "expected return of each action", MARGIN + 74, 199, 12, paint.FAINT)
        if self._curve_height:
            top = self._rows_bottom + 26
            paint.write(panel, "max E[R | a]", MARGIN, top, 14, paint.TEXT, bold=True)
            paint.write(panel, "over the last steps", MARGIN + 108, top + 1, 12, paint.FAINT)
            panel[self._curve_base, MARGIN:-MARGIN] = paint.LINE
        return panel

    @property
    def _curve_base(self) -> int:
        return self._rows_bottom + 56 + self._curve_height

    def _draw_panel(self, moment: Moment) -> Picture:
        panel = self._still.copy()
        score = paint.fitting(told(moment.score), 30, COLUMNS[1] - COLUMNS[0] - 8, bold=True, least=15)
        paint.write(panel, score[0], COLUMNS[0], 130, score[1], paint.CHOSEN, bold=True)
        counts = [moment.step, moment.episode]
        if moment.lives is not None:
            counts.append(moment.lives)
            paint.write(panel, "LIVES", COLUMNS[3], 108, 11, paint.FAINT)
        elif moment.step > self._trail[0][0] and not self._sparse:
            since, before = self._trail[0]  # not every step has to be shown
            mean = (moment.score - before) / (moment.step - since)
            paint.write(panel, "A STEP", COLUMNS[3], 108, 11, paint.FAINT)
            text, size = paint.fitting(f"{mean:.3f}", 24, PANEL_WIDTH - MARGIN - COLUMNS[3], least=11)
            paint.write(panel, text, COLUMNS[3], 133, size, paint.TEXT)
        for column, end, count in zip(COLUMNS[1:], (*COLUMNS[2:], PANEL_WIDTH - MARGIN), counts, strict=False):
            text, size = paint.fitting(f"{count:,}", 24, end - column - 8, least=11)
            paint.write(panel, text, column, 133, size, paint.TEXT)
        if moment.over:
            paint.write(panel, "episode over", PANEL_WIDTH - MARGIN, 160, 11, paint.CHOSEN, bold=True, align="right")
        self._draw_bars(panel, moment)
        if self._curve_height:
            self._draw_curve(panel)
        return panel

    def _draw_bars(self, panel: Picture, moment: Moment) -> None:
        shown = range(len(moment.q))
        if len(moment.q) > self._rows:
            shown = sorted(np.argsort(-np.nan_to_num(moment.q), kind="stable")[: self._rows])  # type: ignore[assignment]
        size, decimals = self._text_size, _decimals(max(self._high, -self._low))
        values = {index: _signed(moment.q[index], decimals) for index in shown}
        left = MARGIN + self._label_width
        right = PANEL_WIDTH - MARGIN - max(58, *(paint.width_of(text, size, True) + 12 for text in values.values()))
        low, high = (_nice(-self._low) * -1, _nice(self._high))
        base = 0.0  # the value that bars grow from
        if NARROW * self._high < self._least < self._high:  # from 0 they would all look alike
            low = base = self._least - 0.25 * (self._high - self._least)
            high = self._high
            start = f"from {_signed(base, decimals)}"
            paint.write(panel, start, PANEL_WIDTH - MARGIN, 199, 12, paint.FAINT, align="right")
        zero = left + (right - left) * ((base - low) / (high - low) if high > low else 0.0)
        for row, index in enumerate(shown):
            top = ROWS_TOP + row * self._row_height
            middle, gap = top + self._row_height // 2, max(2, self._row_height // 6)
            value, chosen = float(moment.q[index]), index == moment.action
            if chosen:
                panel[top : top + self._row_height, MARGIN - 12 : PANEL_WIDTH - MARGIN + 12] = paint.RAISED
                panel[top : top + self._row_height, MARGIN - 12 : MARGIN - 9] = paint.CHOSEN
            ink = paint.TEXT if chosen else paint.SOFT
            text, fit = paint.fitting(self._names[index], size, self._label_width - 8, chosen, least=8)
            paint.write(panel, text, MARGIN, middle - size * 0.37, fit, ink, chosen)
            if abs(value) < ENDLESS and high > low:
                end = zero + (right - left) * (value - base) / (high - low)
                color = (
                    (paint.CHOSEN if value >= 0 else paint.CHOSEN_LOSS)
                    if chosen
                    else (paint.BAR if value >= 0 else paint.LOSS)
                )
                paint.rectangle(panel, min(zero, end), top + gap, max(zero, end), top + self._row_height - gap, color)
                if chosen and moment.explored:
                    edge = max(zero, end)  # beside the bar, or in it where it leaves no room
                    beside = edge < right - 56
                    note = paint.SOFT if beside or value < 0 else paint.NIGHT
                    paint.write(panel, "random", right - 4 if beside else edge - 6, middle - 4, 11, note, align="right")
            paint.write(panel, values[index], PANEL_WIDTH - MARGIN, middle - size * 0.37, size, ink, chosen, "right")
        panel[ROWS_TOP - 2 : self._rows_bottom + 2, round(zero)] = paint.FAINT

    def _draw_curve(self, panel: Picture) -> None:
        values = np.array(self._best)
        low, high = float(values.min()), float(values.max())
        middle, reach = (low + high) / 2, max((high - low) * 0.6, 0.01 * max(abs(low), abs(high)), 1e-6)
        aim = (middle - reach, middle + reach)
        if self._span is None:
            self._span = aim
        # The scale glides to where it should be, but no value ever leaves the picture.
        ease = [old + 0.05 * (new - old) for old, new in zip(self._span, aim, strict=True)]
        self._span = (min(ease[0], low), max(ease[1], high))
        bottom, top = self._span
        heights = (values - bottom) / (top - bottom) * (self._curve_height - 4) + 1
        left = PANEL_WIDTH - MARGIN - len(values)
        paint.curve(panel, left, heights, self._curve_base, paint.CURVE)
        below = self._curve_base + 4
        for x, gain in enumerate(self._gains, left):
            if gain and self._sparse:
                color = paint.GAIN if gain > 0 else paint.CHOSEN_LOSS
                paint.rectangle(panel, x - 1, below, x + 1, below + 7, color)
        text = _signed(values[-1], _decimals(high))
        heading = self._rows_bottom + 26
        paint.write(panel, text, PANEL_WIDTH - MARGIN, heading, 14, paint.CURVE, bold=True, align="right")


def _even(pixels: int) -> int:
    return pixels + pixels % 2


def _nice(value: float) -> float:
    """Return the least of 1, 1.5, 2, 3, 5, 7.5 times a power of ten that holds `value`; 0 where there is none."""
    if not 1e-300 < value < 1e300:
        return 0.0
    power = 10.0 ** floor(log10(value))
    return next(power * step for step in (1, 1.5, 2, 3, 5, 7.5, 10) if value <= power * step * (1 + 1e-9))


def _decimals(largest: float) -> int:
    """Return how many decimals tell values of this size apart."""
    return 3 if largest < 1 else 2 if largest < 100 else 1 if largest < 1000 else 0


def _signed(value: float, decimals: int) -> str:
    if not isfinite(value):
        return "not a number"
    text = f"{value:,.{decimals}f}" if abs(value) < 1e7 else f"{value:.2e}"
    return text.replace("-", MINUS)
