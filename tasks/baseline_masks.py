"""Class-agnostic masks from files, of any segmenter: they may stand in for the instances from depth."""

from __future__ import annotations

import functools
from pathlib import Path

import luigi
import numpy as np

from data.errors import SettingError
from data.files.fingerprint import NAMED_FILES
from data.files.mask_files import MaskFiles
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.instance_arrays import instance_arrays, stored_instances
from tasks.runtime.numeric import number


class BaselineMasks(SplitStage):
    """Instances without class from a folder of PNG files, or a JSON file of the BOP challenge (2D segmentation).

    Where masks overlap, those with a higher score cover the others. A mask of which less than `visible` is left, or
    that has a smaller share of the image than `smallest`, is left out.
    """

    folder = luigi.Parameter(
        default="",
        description="folder of <image id>.png (instance numbers, 0 = none), or a JSON file of BOP's 2D segmentation",
        significant=False,
    )
    least_score = number(0.0, "masks of a JSON file with a lower score are left out", at_least=0, at_most=1)
    visible = number(0.5, "share of a mask that others must leave uncovered", at_least=0, at_most=1)
    smallest = number(0.0006, "share of the image below which a mask is left out", at_least=0, below=1)

    def requires(self):
        return {"dataset": self.upstream(IndexDataset)}

    @property
    def files(self) -> MaskFiles:
        """The files; SettingError if they are not named."""
        if not self.folder:
            raise SettingError("BaselineMasks needs --BaselineMasks-folder, the folder or JSON file of masks")
        return MaskFiles(Path(self.folder))

    @functools.cached_property
    def maps(self):
        """The files of the folder of maps."""
        return self.required["dataset"].new_watch()

    def watched(self):
        return [*super().watched(), self.maps]

    def content_identity(self):
        files = self.files
        if files.is_json:
            return {"masks": NAMED_FILES(files.path)}
        return {"masks": self.required["dataset"].files_fingerprint(self.split, files.file_of, self.maps)}

    def arrays(self, samples):
        return instance_arrays(samples)

    def compute(self, sample, inputs):
        from models.instance_table import instance_table
        from models.mask_layers import flattened

        found = self.files.read(sample)
        kept = [(score, mask) for score, mask in found if score >= self.least_score]
        instances, scores = flattened(
            [mask for _, mask in kept],
            np.array([score for score, _ in kept]),
            sample.size,
            self.visible,
            self.smallest * sample.size[0] * sample.size[1],
        )
        table = instance_table(instances, np.zeros(len(scores), np.int64), scores)
        return stored_instances(sample, instances, table, type(self).__name__)
