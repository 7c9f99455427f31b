"""The parameters of the stages that paste photographs of single objects into their training images."""

from __future__ import annotations

import functools
from typing import Any

from tasks.runtime.numeric import number, whole
from tasks.runtime.parameters import nonzero, only


class PastesCutouts:
    """Mixin of `TrainingStage`: ``cutouts`` objects of the folder ``crops/`` are pasted into a training image.

    A stage that uses it requires LoadDepth as ``depth`` if `cutouts` is not 0: depth gives the scale.
    """

    cutouts: Any = whole(
        0,
        "most objects of the photographs in crops/CLASS/ of the data set that are pasted into an image, 0 = none",
        at_least=0,
        at_most=100,
    )
    cutout_distance: Any = only(
        number(1.0, "metres between the camera and the objects in the photographs of crops/", above=0),
        cutouts=nonzero,
    )
    required: Any

    def watched(self):
        return [*super().watched(), *([self._cutout_files] if self.cutouts else [])]  # type: ignore[misc]

    @functools.cached_property
    def _cutout_files(self):
        return self.required["dataset"].new_watch()

    def content_identity(self):
        found = super().content_identity()  # type: ignore[misc]
        if not self.cutouts:
            return found
        index = self.required["dataset"]
        return {**found, "cutouts": index.cutouts_fingerprint(self._photographs, self._cutout_files)}

    @functools.cached_property
    def _photographs(self):
        """The photographs that the identity knows. None that comes later is pasted."""
        return self.required["dataset"].cutouts()

    def __reduce__(self):  # the ranks of a training do not look for photographs again
        state = {"_photographs": self._photographs} if self.cutouts else {}
        return (*super().__reduce__(), state)  # type: ignore[misc]

    def pasted_cutouts(self):
        """What `TrainingImages` pastes, a `tasks.runtime.cutouts.Cutouts`; None if nothing is pasted."""
        if not self.cutouts:
            return None
        from tasks.runtime.cutouts import Cutouts

        return Cutouts(self._photographs, self.cutouts, self.cutout_distance)

    def depth_maps(self) -> dict[str, Any]:
        """The maps of depth among the maps of the training images; empty if the stage does not require depth."""
        from tasks.runtime.training_images import MapSource

        if "depth" not in self.required:
            return {}
        depth = self.inputs["depth"]  # type: ignore[attr-defined]
        return {"depth": MapSource(depth, "depth", 0.0), "valid": MapSource(depth, "valid", False)}
