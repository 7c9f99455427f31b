"""Colour frames and their depth: matched by time, and read with few of them in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from PIL import Image

from data.errors import DatasetError
from data.recordings.frames import COLOUR, DEPTH, Packed, Recording

MOST_WAITING = 2**29
"""Bytes of images that wait for their partner."""

NO_DEPTH = -1
"""Partner of a colour frame that has none."""


def matched(colour: np.ndarray, depth: np.ndarray, tolerance: float) -> np.ndarray:
    """The depth image of each colour image: the nearest in time, if it has no nearer colour image itself.

    Parameters
    ----------
    colour, depth : ndarray, (N,) and (M,), int64
        Times in nanoseconds, in any order; negative: the image cannot be read.
    tolerance : float
        Largest difference in nanoseconds.

    Returns
    -------
    ndarray, (N,), int64
        Number of the depth image; `NO_DEPTH` if there is none.

    Examples
    --------
    >>> matched(np.array([0, 10, 20]), np.array([12, 1, 99]), tolerance=5).tolist()
    [1, 0, -1]
    """
    to_depth, to_colour = _nearest(colour, depth), _nearest(depth, colour)
    found = np.full(len(colour), NO_DEPTH, np.int64)
    for place in np.flatnonzero(to_depth >= 0).tolist():
        partner = to_depth[place]
        if to_colour[partner] == place and abs(int(colour[place]) - int(depth[partner])) <= tolerance:
            found[place] = partner
    return found


def _nearest(times: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Number of the nearest of `others` for each of `times`, -1 if there is none; the earlier one of equals."""
    order = np.argsort(others, kind="stable")
    order = order[others[order] >= 0]
    if not len(order):
        return np.full(len(times), -1, np.int64)
    known = others[order]
    after = np.clip(np.searchsorted(known, times), 0, len(known) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.where(np.abs(times - known[before]) <= np.abs(known[after] - times), before, after)
    return np.where(times >= 0, order[nearer], -1)


def paired(
    recording: Recording, partners: dict[int, int], most_waiting: int = MOST_WAITING
) -> Iterator[tuple[int, Packed, Packed | None]]:
    """Yield number, colour image and depth image of the wanted frames, in the order of `partners`.

    Parameters
    ----------
    recording : Recording
    partners : dict
        Number of a wanted colour image -> number of its depth image, or `NO_DEPTH`. In the order of time.
    most_waiting : int
        Bytes of images that may wait, since their partner comes later in the recording.

    Raises
    ------
    DatasetError
        If more would wait.
    """
    waiting: dict[tuple[str, int], Packed] = {}
    wanted = {(COLOUR, number) for number in partners} | {(DEPTH, number) for number in partners.values()}
    order, held = deque(partners), 0

    def is_there(number: int) -> bool:
        depth = partners[number]
        return (COLOUR, number) in waiting and (depth == NO_DEPTH or (DEPTH, depth) in waiting)

    for stream, number, packed in recording.images():
        if (stream, number) not in wanted:
            continue
        waiting[stream, number] = packed
        held += packed.size
        while order and is_there(order[0]):
            first = order.popleft()
            colour, depth = waiting.pop((COLOUR, first)), waiting.pop((DEPTH, partners[first]), None)
            held -= colour.size + (depth.size if depth else 0)
            yield first, colour, depth
        if held > most_waiting:
            raise DatasetError(
                f"{packed.place}: more than {most_waiting / 2**20:.0f} MB of images wait for their partner, so colour "
                "and depth lie far apart in the recording; record both at once, or sort the recording by time"
            )


class Motion:
    """Keeps a frame if it differs from the frame that was kept last.

    The difference is the mean absolute difference of small grey images, so noise of single pixels has little effect.

    Parameters
    ----------
    threshold : float
        In grey levels, 0 to 255. 0 keeps every frame.
    """

    side = 64
    """Longer side of the small images in pixels."""

    def __init__(self, threshold: float):
        self.threshold = threshold
        self._last: np.ndarray | None = None

    def keeps(self, image: np.ndarray) -> bool:
        """True if the image (H, W, 3) uint8 is kept."""
        if not self.threshold:
            return True
        grey = Image.fromarray(image).convert("L")
        scale = self.side / max(grey.size)
        small = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
        seen = np.asarray(grey.resize(small, Image.Resampling.BOX), np.float32)
        last = self._last
        if last is not None and last.shape == seen.shape and np.abs(seen - last).mean() <= self.threshold:
            return False
        self._last = seen
        return True
