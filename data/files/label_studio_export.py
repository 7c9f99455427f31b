"""Label Studio: tasks with predictions whose masks are brush strokes, in the run lengths of rle-pack.

Source of the bits: thi.ng/umbrella, packages/rle-pack, `encode` and `decode`; of the tasks: Label Studio's manual,
"Import pre-annotations".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from data.files.exported_frames import ANY_CLASS, ExportedFrame
from data.files.instance_export import ExportedInstance
from data.files.label_export import voc_palette

TASKS_PER_FILE = 1000
"""A file of more tasks would be refused by the form in which files are uploaded."""

CONTROL, IMAGE = "labels", "image"
"""Names of the two tags of the labelling interface."""

WORD_BITS = 8
RUN_BITS = (3, 4, 8, 16)
CHANNELS = 4
"""Label Studio stores a mask as the bytes of an RGBA image: each pixel counts four times."""


def brush_run_lengths(mask: np.ndarray) -> list[int]:
    """A mask as the bytes of rle-pack, which Label Studio draws.

    The head has the number of words (32 bits), the bits of a word less 1 (5 bits), and the bits of the four kinds of
    lengths, each less 1 (4 bits). Then, for each run: the bit 1, the kind of its length (2 bits), its length less 1 in
    as many bits, and its word. A run of a mask has at least four words, so the form for single words is not needed.

    Parameters
    ----------
    mask : ndarray, (H, W), bool

    Returns
    -------
    list of int
        Bytes.

    Examples
    --------
    >>> brush_run_lengths(np.zeros((1, 2), bool))  # one run of 8 words 0
    [0, 0, 0, 8, 57, 27, 252, 224, 0]
    """
    flat = mask.ravel()
    borders = np.flatnonzero(np.diff(flat, prepend=~flat[:1], append=~flat[-1:]))
    bits = [f"{CHANNELS * flat.size:032b}", f"{WORD_BITS - 1:05b}", *(f"{size - 1:04b}" for size in RUN_BITS)]
    for start, end in zip(borders[:-1].tolist(), borders[1:].tolist()):
        word, left = "1" * WORD_BITS if flat[start] else "0" * WORD_BITS, CHANNELS * (end - start)
        while left:
            length = min(left, 1 << RUN_BITS[-1])
            kind = next(kind for kind, size in enumerate(RUN_BITS) if length <= 1 << size)
            bits.append(f"1{kind:02b}{length - 1:0{RUN_BITS[kind]}b}{word}")
            left -= length
    values = np.frombuffer("".join(bits).encode(), np.uint8) - ord("0")
    return np.packbits(values).tolist()


def label_studio_files(
    frames: Iterable[ExportedFrame], class_names: Sequence[str], images_at: str, version: str
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file: ``labels.xml``, the labelling interface, and ``tasks_0001.json``, ...

    Parameters
    ----------
    frames : iterable of ExportedFrame
    class_names : sequence of str
        Number 0 first.
    images_at : str
        What the address of each image begins with; the image file, relative to the data set, follows.
    version : str
        What is shown as the version of the model.
    """
    has_any, numbered = False, enumerate(frames, start=1)
    for number in count(1):
        tasks = []
        for place, frame in islice(numbered, TASKS_PER_FILE):
            results = [_result(f"{place}-{at}", item, frame, class_names) for at, item in enumerate(frame.objects, 1)]
            has_any |= any(item.class_number == 0 for item in frame.objects)
            tasks.append(
                {
                    "data": {"image": images_at + quote(frame.name)},
                    "predictions": [{"model_version": version, "result": results}],
                }
            )
        if not tasks:
            break
        yield f"tasks_{number:04d}.json", json.dumps(tasks, separators=(",", ":")).encode()
    yield "labels.xml", _interface([*class_names[1:], *([ANY_CLASS] if has_any else [])]).encode()


def _result(region: str, item: ExportedInstance, frame: ExportedFrame, class_names: Sequence[str]) -> dict[str, Any]:
    height, width = frame.size
    name = class_names[item.class_number] if item.class_number else ANY_CLASS
    return {
        "id": region,
        "type": "brushlabels",
        "from_name": CONTROL,
        "to_name": IMAGE,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        **item.scored,
        "value": {"format": "rle", "rle": brush_run_lengths(item.mask), "brushlabels": [name]},
    }


def _interface(names: Sequence[str]) -> str:
    """The labelling interface, for "Settings, Labeling interface, Code"."""
    colours = voc_palette(len(names) + 1)
    labels = "\n".join(
        f'    <Label value={quoteattr(name)} background="#{bytes(colours[number]).hex()}"/>'
        for number, name in enumerate(names, start=1)
    )
    return (
        f'<View>\n  <Image name="{IMAGE}" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="{CONTROL}" toName="{IMAGE}">\n{labels}\n  </BrushLabels>\n</View>\n'
    )
