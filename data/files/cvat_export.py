"""CVAT's format "Segmentation mask 1.1": label maps in colours, in the layout of PASCAL VOC.

::

    labelmap.txt                           name:red,green,blue:: of each label
    ImageSets/Segmentation/default.txt     names of the images
    SegmentationClass/NAME.png             colour of the label of each pixel
    SegmentationObject/NAME.png            colour of the object of each pixel

Source: CVAT's manual, "Import and export, Segmentation mask"; datumaro, the library with which CVAT reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from data.errors import DatasetError
from data.files.exported_frames import ANY_CLASS, ExportedFrame
from data.files.label_export import voc_palette
from data.files.png import png_bytes

LABEL_MAP = "labelmap.txt"

MOST_OBJECTS = 255
"""Objects of an image: as many colours has the reader of CVAT for them."""

UNLABELLED_NAME, UNLABELLED_COLOUR = "unlabelled", (255, 255, 255)
"""Label of the pixels of which nothing is known. No class number has white in the palette of VOC."""


def cvat_files(
    frames: Iterable[ExportedFrame], names: Sequence[str], class_names: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of the archive.

    Parameters
    ----------
    frames : iterable of ExportedFrame
    names : sequence of str
        Name of each image as in CVAT, without ending (`data.files.exported_frames.stems`).
    class_names : sequence of str
        Number 0 first.

    Raises
    ------
    DatasetError
        If a class name has ``:`` or ``#``, or an image has more than `MOST_OBJECTS` objects.
    """
    for name in class_names:
        if ":" in name or name.startswith("#"):
            raise DatasetError(f"class '{name}': CVAT's labelmap.txt can have no ':' and no '#' in a name; rename it")
    palette = voc_palette(max(len(class_names) + 1, MOST_OBJECTS + 1))
    any_class, has_any, has_unlabelled = len(class_names), False, False
    for name, frame in zip(names, frames, strict=True):
        if len(frame.objects) > MOST_OBJECTS:
            raise DatasetError(
                f"{frame.name}: has {len(frame.objects)} objects, but CVAT reads at most {MOST_OBJECTS}; export coco"
            )
        classes, objects = np.zeros(frame.size, np.int64), np.zeros(frame.size, np.int64)
        for number, item in enumerate(frame.objects, start=1):
            classes[item.mask], objects[item.mask] = item.class_number or any_class, number
            has_any |= item.class_number == 0
        colours, object_colours = palette[classes], palette[objects]
        colours[frame.unlabelled] = UNLABELLED_COLOUR
        has_unlabelled |= bool(frame.unlabelled.any())
        yield f"SegmentationClass/{name}.png", png_bytes(colours)
        yield f"SegmentationObject/{name}.png", png_bytes(object_colours)
    labels = {name: palette[number] for number, name in enumerate(class_names)}
    if has_any:
        labels[ANY_CLASS] = palette[any_class]
    if has_unlabelled:
        labels[UNLABELLED_NAME] = np.array(UNLABELLED_COLOUR)
    lines = [f"{name}:{','.join(str(value) for value in colour.tolist())}::" for name, colour in labels.items()]
    yield LABEL_MAP, ("# label:color_rgb:parts:actions\n" + "\n".join(lines) + "\n").encode()
    yield "ImageSets/Segmentation/default.txt", "".join(f"{name}\n" for name in names).encode()


def cvat_labels(label_map: bytes) -> list[dict[str, Any]]:
    """The labels of a CVAT task, for the field "Raw" of its form, in the colours of the masks.

    CVAT refuses masks of labels that the task does not have. So these are all labels of the archive: the classes, and
    those of objects without class and of unlabelled pixels where there are such. Number 0 is the background of CVAT and
    no label.

    Parameters
    ----------
    label_map : bytes
        Content of `LABEL_MAP`, as `cvat_files` yields it.

    Examples
    --------
    >>> [label["color"] for label in cvat_labels(b"# comment\\nbackground:0,0,0::\\nmug:128,0,0::\\n")]
    ['#800000']
    """
    lines = [line.split(":") for line in label_map.decode().splitlines() if not line.startswith("#")]
    return [
        {"name": name, "color": "#" + bytes(map(int, colour.split(","))).hex(), "type": "mask", "attributes": []}
        for name, colour, *_ in lines[1:]
    ]
