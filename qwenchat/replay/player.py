"""A saved conversation played back as it happened: a clock that can be stopped, hurried and turned. No interface."""

import bisect
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from qwenchat.chat.errors import LibraryError
from qwenchat.chat.messages import Message, Role
from qwenchat.chat.scene import LONGEST_S, Moment, Scene, believed, length_of, squeezed
from qwenchat.chat.timeline import Tick
from qwenchat.library.library import Library

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
INSTANT = math.inf
IDLE_LIMIT_S = 3.0
"""How long nothing may happen between messages and while the user writes, unless another limit is asked for."""
SOON_S = 1e-4
"""What is due so soon is due now: a clock cannot tell such times apart."""
STEP_BACK_S = 1.0
"""Later than this in a message, a step back leads to its beginning; before, to the message before it."""


class Replay:
    """Plays the messages of one path through a conversation. Call `due` often; it says what has happened since.

    Positions are seconds of the replay at normal speed. After `seek` and `step`, what is shown is to be made anew
    from `so_far`.
    """

    def __init__(
        self,
        path: Sequence[Message],
        timelines: Mapping[str, Sequence[Tick]],
        *,
        idle_limit_s: float = IDLE_LIMIT_S,
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scenes = _scenes(path, timelines, max(0.0, idle_limit_s))
        self.speed = speed
        self.paused = False
        self._clock = clock
        self._at_s, self._since = 0.0, clock()
        """Where the replay was when it last changed its pace, and what the clock said then."""
        self._scene = 0
        """The first scene that has not been played to its end."""
        self._reported = 0
        """How many moments of that scene have been played."""
        self._moments: tuple[int, tuple[Moment, ...]] = (-1, ())
        """The moments of one scene, so that they are not made again at every look."""

    @property
    def length_s(self) -> float:
        """How long all of it takes at normal speed."""
        return self.scenes[-1].ends_s if self.scenes else 0.0

    @property
    def position_s(self) -> float:
        """How far it is."""
        if self.paused:
            return self._at_s
        if self.speed == INSTANT:
            return self.length_s
        return min(self.length_s, self._at_s + (self._clock() - self._since) * self.speed)

    @property
    def over(self) -> bool:
        """Whether everything has been played."""
        return self._scene >= len(self.scenes)

    @property
    def number(self) -> int:
        """The number of the message that is being played, or was last; 0 for the first."""
        return max(0, self._scene_at(self.position_s))

    def due(self) -> list[Moment]:
        """What has happened since the last time."""
        moments: list[Moment] = []
        now = self.position_s + SOON_S
        while not self.over and self.scenes[self._scene].starts_s <= now:
            of_scene = self._moments_of(self._scene)
            upto = bisect.bisect_right(of_scene, now, key=lambda moment: moment.at_s)
            moments += of_scene[self._reported : upto]
            self._reported = upto
            if upto < len(of_scene):
                break
            self._scene, self._reported = self._scene + 1, 0
        return moments

    def next_in_s(self) -> float | None:
        """Seconds by the clock until something is due; None while paused, and when it is over."""
        if self.paused or self.over:
            return None
        at_s = self._moments_of(self._scene)[self._reported].at_s
        return 0.0 if self.speed == INSTANT else max(0.0, (at_s - self.position_s) / self.speed)

    def pause(self, on: bool = True) -> None:
        """Stop where it is, or go on from there."""
        self._turn_to(self.position_s)
        self.paused = on

    def change_speed(self, steps: int) -> None:
        """So many steps faster, or slower where negative."""
        here = min(bisect.bisect_left(SPEEDS, self.speed), len(SPEEDS) - 1)
        self._turn_to(self.position_s)
        self.speed = SPEEDS[max(0, min(len(SPEEDS) - 1, here + steps))]

    def seek(self, at_s: float) -> None:
        """Turn to a time."""
        self._turn_to(max(0.0, min(self.length_s, at_s)))
        if self.speed == INSTANT:
            self.speed = 1.0
        self._scene = next((scene.number for scene in self.scenes if scene.ends_s >= self._at_s), len(self.scenes))
        self._reported = 0
        self.due()

    def go_to(self, number: int) -> None:
        """Turn to the beginning of a message; past the last one, to the end."""
        self.seek(self.scenes[max(0, number)].starts_s if number < len(self.scenes) else self.length_s)

    def step(self, by: int) -> None:
        """To the next message, or with -1 to the beginning of this one and then the one before."""
        here = self.number
        if by > 0 or not self.scenes:
            self.go_to(here + 1)
            return
        begins = self.scenes[here].starts_s
        if self.position_s - begins <= STEP_BACK_S:
            begins = max((scene.starts_s for scene in self.scenes[:here] if scene.starts_s < begins), default=0.0)
        self.seek(begins)

    def so_far(self) -> tuple[tuple[Message, ...], tuple[Moment, ...]]:
        """The messages that were played to their ends, and what was played of the one after them."""
        whole = tuple(scene.message for scene in self.scenes[: self._scene])
        return whole, () if self.over else self._moments_of(self._scene)[: self._reported]

    def _turn_to(self, at_s: float) -> None:
        self._at_s, self._since = at_s, self._clock()

    def _scene_at(self, at_s: float) -> int:
        return bisect.bisect_right(self.scenes, at_s, key=lambda scene: scene.starts_s) - 1

    def _moments_of(self, number: int) -> tuple[Moment, ...]:
        if self._moments[0] != number:
            self._moments = number, self.scenes[number].moments()
        return self._moments[1]


def timelines_of(library: Library, path: Iterable[Message]) -> dict[str, tuple[Tick, ...]]:
    """What was recorded of these messages; a recording that cannot be read counts as none."""
    found = {}
    for message in path:
        with suppress(LibraryError):
            found[message.id] = library.timeline(message.id)
    return found


def _scenes(path: Sequence[Message], timelines: Mapping[str, Sequence[Tick]], idle_limit_s: float) -> tuple[Scene, ...]:
    """The messages one after another, with the pauses there were between them, none longer than the limit."""
    scenes: list[Scene] = []
    at_s, ended = 0.0, math.nan
    for number, message in enumerate(path):
        ticks = believed(message, timelines.get(message.id, ())) if message.role in _GROWING else ()
        took = length_of(message, ticks)
        began = message.created - took if message.role is Role.USER else message.created
        pause = began - ended
        at_s += min(pause, idle_limit_s, LONGEST_S) if pause > 0 else 0.0
        ended = began + took
        if message.role is Role.USER:
            ticks = squeezed(ticks, idle_limit_s)
            took = length_of(message, ticks)
        scenes.append(Scene(number, message, ticks, at_s, at_s + took))
        at_s += took
    return tuple(scenes)


_GROWING = frozenset({Role.USER, Role.ASSISTANT})
