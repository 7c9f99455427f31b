"""What stages share that work on one split of the data set, the train split unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import luigi

from data.sample import EVALUATION, TRAIN, Sample
from tasks.runtime.stage import StageTask


class SplitTask(StageTask):
    """A stage over the images of `split`; that of the evaluation split has its own artifact, label and identity."""

    split = luigi.ChoiceParameter(default=TRAIN, choices=(TRAIN, EVALUATION), description="images that are read")

    @property
    def label(self):
        return type(self).__name__ if self.split == TRAIN else f"{type(self).__name__}-{self.split}"

    def unused(self):
        return ("split",) if self.split == TRAIN else ()

    @property
    def samples(self) -> Sequence[Sample]:
        return self.index.split(self.split)
