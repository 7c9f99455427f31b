"""The corrected label maps of training images, for the stages that read them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import SettingError
from data.files.working_size import at_full_size
from data.readers.corrections import CORRECTIONS, list_corrections, read_correction
from data.sample import TRAIN, Sample
from data.store.artifact import hash_text
from tasks.runtime.parameters import flag


class UsesCorrections:
    """Mixin of a stage that takes the label maps in ``corrections/`` for what they are: certain (ours).

    The stage requires IndexDataset as ``dataset``. Only training images have corrections.
    """

    corrections: Any = flag(
        True,
        "label maps in the folder corrections/ of the data set replace those of the stage",
        significant=False,  # what they say is in the identity, if there are any
    )
    required: Any
    split: Any

    @property
    def _uses_corrections(self) -> bool:
        return bool(self.corrections) and self.split == TRAIN

    @functools.cached_property
    def corrected(self) -> dict[str, Path]:
        """Image id -> corrected label map, for the images that have one.

        Raises
        ------
        DatasetError
            As `list_corrections`.
        SettingError
            If the run merges classes.
        """
        dataset = self.required["dataset"]
        if not self._uses_corrections or dataset.is_rendered:
            return {}
        # With a tuning split, some training images are evaluated instead: their corrections are right, but not learnt.
        learnt = set(dataset.indexed.split(TRAIN).ids)
        named = list_corrections(dataset.root, dataset.scanned.split(TRAIN).ids)
        found = {image_id: path for image_id, path in named.items() if image_id in learnt}
        if found and dataset.merge:
            raise SettingError(
                f"{dataset.root / CORRECTIONS}: corrections cannot be used together with --IndexDataset-merge, since "
                "it is open which class numbers they have; merge the classes in labels.csv instead, or leave the "
                f"corrections out with --{type(self).__name__}-corrections false"
            )
        return found

    def correction(self, sample: Sample, num_classes: int, full_size: bool = False) -> np.ndarray | None:
        """The corrected label map of an image (`read_correction`), at its working size or its full size, or None.

        Only what was `corrected` when the stage was planned counts: the identity knows no file that came later.
        """
        path = self.corrected.get(sample.image_id)
        if path is None:
            return None
        return read_correction(path, at_full_size(sample) if full_size else sample, num_classes)

    def __reduce__(self):  # worker processes do not look for corrections: they get those that the identity knows
        return (*super().__reduce__(), {"corrected": self.corrected})  # type: ignore[misc]

    @functools.cached_property
    def _correction_files(self):
        """The watched files of the corrections."""
        return self.required["dataset"].new_watch()

    def watched(self):
        return [*super().watched(), self._correction_files]  # type: ignore[misc]

    def content_identity(self):
        found = super().content_identity()  # type: ignore[misc]
        if not self.corrected:
            return found
        known = [(image_id, self._correction_files(path)) for image_id, path in self.corrected.items()]
        return {**found, "corrections": hash_text(repr(known))}
