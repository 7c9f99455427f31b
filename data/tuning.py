"""A third split, cut from the training images: where settings are chosen, so that the evaluation images stay unseen."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import numpy as np

from data.errors import DatasetError
from data.sample import EVALUATION, TRAIN, DatasetIndex

TUNING = "tuning"
"""Name of the split in tables and logs."""


def sequence_of(image_id: str, pattern: str) -> str:
    """The sequence or scene of an image: what a regular expression finds at the start of its id, or the id itself.

    Examples
    --------
    >>> sequence_of("val/000003/000012", "(.*)/"), sequence_of("train/0001TP_006690", "(.*)_"), sequence_of("a/7", "")
    ('val/000003', 'train/0001TP', 'a/7')
    """
    found = re.match(pattern, image_id) if pattern else None
    return found.group(1) if found else image_id


def held_out(sequences: Iterable[str], share: float) -> set[str]:
    """Sequences that are held out: those whose hash, as a number in [0, 1), is below the share; at least one.

    A sequence stays on its side if others are added or removed.

    Parameters
    ----------
    sequences : iterable of str
    share : float
        In (0, 1).

    Examples
    --------
    >>> sorted(held_out("abcdefgh", 0.3)) == sorted(held_out("hgfedcba", 0.3))
    True
    """
    place = {name: int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2**64 for name in sequences}
    return {name for name, value in place.items() if value < share} or {min(place, key=place.__getitem__)}


def with_tuning_split(index: DatasetIndex, share: float, pattern: str) -> DatasetIndex:
    """The data set with a part of its training images as evaluation images; its own evaluation images are left out.

    Parameters
    ----------
    index : DatasetIndex
    share : float
        Of the training sequences, in (0, 1).
    pattern : str
        Of the sequence in an image id (`sequence_of`); empty: each image is on its own.

    Raises
    ------
    DatasetError
        If there are no two training sequences.
    """
    train = index.split(TRAIN)
    sequences = [sequence_of(image_id, pattern) for image_id in train.ids]
    if len(set(sequences)) < 2:
        raise DatasetError(f"{index.root}: has no two training sequences to hold one out; set --IndexDataset-tuning 0")
    out = held_out(sequences, share)
    if out == set(sequences):
        raise DatasetError(f"{index.root}: no training sequence would be left; lower --IndexDataset-tuning")
    splits = np.array([EVALUATION if name in out else TRAIN for name in sequences], object)
    kind = train.table.values["split"].dtype
    return DatasetIndex(index.root, index.class_names, train.replaced(split=splits.astype(kind)).ordered())
