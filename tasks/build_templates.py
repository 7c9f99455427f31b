"""Templates of one class: keys of the object in the training frames that show it alone. Nothing is trained."""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import luigi
import numpy as np

from data.demo.scenes import CLASSES
from data.depth.folder import depth_file
from data.errors import DatasetError, QualityError, SettingError
from data.files.working_size import sample_image
from data.sample import TRAIN, DatasetIndex, Sample
from data.store.artifact import Artifact, write_bytes, write_json
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth
from tasks.runtime.backbone_names import is_cnn
from tasks.runtime.numeric import number, whole
from tasks.runtime.parameters import flag, one_of, only
from tasks.runtime.shards import ImageInputs
from tasks.runtime.stage import StageTask
from tasks.runtime.weight_files import weights_identity
from tasks.split_instances import CONSTANTS, SplitInstances

KEYS = "keys.npy"
"""File of the templates, (T, P, D) float32, see `models.object_crops.object_keys`."""

FRAMES = "frames.json"
"""File with the image ids of the templates, and of the frames in which no object stands on the plane."""


class BuildTemplates(StageTask):
    """Writes the templates of one class. They depend on the frames of this class alone (`onboarding_frames`).

    So a new class, or a new frame of another one, leaves them as they are. The object of a frame is the largest
    instance that stands on the support plane (`models.instances`). It is cut out and seen by a pretrained network.
    """

    version = 2
    bf16_version = 1
    artifact_type = Artifact
    autocasts = True

    class_name = luigi.Parameter(default="", description="the class; MatchObjects asks for the templates of all")
    backbone = luigi.Parameter(default="tf_efficientnet_lite0", description="timm name of the network, a ViT or a CNN")
    weights = luigi.Parameter(
        default="package", description="pretrained weights: hub, package, random, or the path of a file"
    )
    stride = only(
        whole(16, "pixels per feature; the deepest CNN stage of this stride is used", at_least=1, at_most=64),
        backbone=is_cnn,
    )
    pooling = one_of(
        ("mean", "gem", "patches"),
        "mean",
        "one key for an object, pooled over its cells, or (patches) a key for each of its cells",
    )
    crop_size = whole(
        128, "side of the square in which the network sees an object, in pixels", at_least=16, at_most=2048
    )
    margin = number(0.1, "space around an object, as a share of its longer side", at_least=0, at_most=4)
    suppress = flag(True, "replace what is around the object by the mean colour")
    object = one_of(
        ("depth", "frame"), "depth", "where the object is: the largest thing on the support plane, or the whole frame"
    )
    templates = whole(40, "number of templates, chosen by k-medoids, 0 = one for each frame", at_least=0)

    def requires(self):
        return {"dataset": self._index}

    @functools.cached_property
    def required(self):
        """Nothing: the index of the data set changes with frames of other classes, which do not matter here."""
        return {}

    @functools.cached_property
    def _index(self) -> IndexDataset:
        return self.upstream(IndexDataset)

    @functools.cached_property
    def _depth(self) -> LoadDepth:
        return self.upstream(LoadDepth)

    @functools.cached_property
    def _split(self) -> SplitInstances:
        return self.upstream(SplitInstances, source="depth")

    @property
    def uses_seed(self):
        return self.object == "depth"

    @functools.cached_property
    def files(self):
        """The files of the frames of the class."""
        return self._index.new_watch()

    def watched(self):
        return [self.files]

    @property
    def label(self):
        return f"BuildTemplates {self.class_name}"

    def content_identity(self):
        found = {"weights": weights_identity(self.weights, self.backbone), "frames": self._frames_hash()}
        if self._index.size:  # at full size, everything is what it was before there was a size: the identity stays
            found["working size"] = str(self._index.size)
        if self.object == "depth":
            if self._depth.source == "estimate":
                raise SettingError(
                    "templates need depth from the sensor or from files; choose --LoadDepth-source sensor or files, or "
                    "--BuildTemplates-object frame"
                )
            depth = {name: value for name, value in self._depth.parameters().items() if name != "shard_size"}
            constants = {name: getattr(self._split, name) for name in CONSTANTS}
            found["surfaces"] = repr((self._depth.version, depth, self._split.version, constants))
        return found

    def _frames_hash(self) -> str:
        if self._index.is_rendered:
            known: tuple = (self._index.fingerprint(), self._index.tuning)
            if self.object == "depth" and self._depth.source == "files":  # these are not rendered
                folder, frames = Path(self._depth.folder), self._own(self._index.indexed)
                known += ([self.files(depth_file(folder, sample)) for sample in frames],)
            return repr(known)
        digest = hashlib.blake2b(digest_size=16)
        for sample in self._own(self._index.indexed):
            depth = self._depth_path(sample)
            hashes = [self.files(sample.image), self.files(depth) if depth else "", sample.depth_unit]
            digest.update(repr(hashes).encode())
        return digest.hexdigest()

    def _depth_path(self, sample: Sample) -> Path | None:
        if self.object != "depth":
            return None
        return depth_file(Path(self._depth.folder), sample) if self._depth.source == "files" else sample.depth

    def _own(self, dataset: DatasetIndex) -> list[Sample]:
        """The frames of the class; DatasetError if there are none."""
        found = onboarding_frames(dataset).get(self.class_name)
        if not found:
            named = ", ".join(onboarding_frames(dataset)) or "none"
            raise DatasetError(
                f"class '{self.class_name}' has no training image with this tag alone, to make templates of; classes "
                f"that have some: {named}"
            )
        return found

    def work(self) -> int:
        import torch

        from models.templates import k_medoids
        from tasks.runtime.object_keys import Describer
        from tasks.runtime.tensors import rgb_tensor
        from tasks.runtime.training_loop import choose_device

        describe = Describer(self.description_of_objects(), choose_device(self.device), self.resolved_precision)
        dataset = self._index.open()
        samples = self._own(dataset)
        keys, used, empty = [], [], []
        self._lacking = sum(self.object == "depth" and self._depth_path(sample) is None for sample in samples)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the same sums on any number of cores
        try:
            for sample, image, mask in self.progress(self._objects(samples, dataset.num_classes), len(samples)):
                if not mask.any():
                    empty.append(sample.image_id)
                    continue
                keys.append(describe(rgb_tensor(image), mask.astype(np.int64))[0])
                used.append(sample.image_id)
        finally:
            torch.set_num_threads(threads)
        if not keys:
            raise QualityError(
                f"{self.label}: nothing stands on the support plane in its {len(samples)} frames, {self._lacking} of "
                "which have no depth; check their depth, or set --BuildTemplates-object frame"
            )
        chosen = k_medoids(np.stack(keys), self.templates)
        file = io.BytesIO()
        np.save(file, np.stack(keys)[chosen].astype(np.float32))
        write_bytes(self.artifact.path / KEYS, file.getvalue())
        write_json(self.artifact.path / FRAMES, {"templates": [used[place] for place in chosen], "empty": empty})
        self._empty = empty, len(samples)
        return len(samples)

    def findings(self):
        empty, count = len(self._empty[0]) - self._lacking, self._empty[1]
        found = [f"{self._lacking} of {count} frames have no depth, so they give no template"] if self._lacking else []
        return [*found, *([f"nothing stands on the support plane in {empty} of {count} frames"] if empty else [])]

    def _objects(self, samples: Sequence[Sample], num_classes: int) -> Iterator[tuple[Sample, np.ndarray, np.ndarray]]:
        """Yield each frame with its image and the mask of its object, which may be empty."""
        for index, sample in enumerate(samples):
            image = sample_image(sample)
            mask = np.ones(image.shape[:2], bool)
            if self.object == "depth":
                inputs = ImageInputs({}, index, sample.size, num_classes)
                mask = self._largest(image, **self._depth.compute(sample, inputs))
            yield sample, image, mask

    def _largest(self, image: np.ndarray, depth: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """The largest instance on the support plane, (H, W) bool."""
        from models.instances import SplitSettings, split_instances

        settings = SplitSettings(**{name: getattr(self._split, name) for name in CONSTANTS})
        found = split_instances(image, depth, valid, None, settings, self.seed)
        sizes = np.bincount(found.ravel())
        sizes[0] = 0
        return (found == sizes.argmax()) & (found > 0)

    def description_of_objects(self):
        """How objects are described, a `tasks.runtime.object_keys.Description`; MatchObjects describes them alike."""
        from tasks.runtime.object_keys import Description

        return Description(
            self.backbone, self.weights, self.stride, self.pooling, self.crop_size, self.margin, self.suppress
        )

    def read(self) -> np.ndarray:
        """The templates as written, (T, P, D) float32.

        Raises
        ------
        DamagedArtifactError
            If the file is missing or is not what was written.
        """
        return np.load(io.BytesIO(self.artifact.read(KEYS)), allow_pickle=False)


def onboarding_frames(dataset: DatasetIndex) -> dict[str, list[Sample]]:
    """Class name -> the training images with this tag and no other, in the order of the class numbers."""
    found: dict[int, list[Sample]] = {}
    for sample in dataset.split(TRAIN):
        if len(sample.tags) == 1:
            found.setdefault(sample.tags[0], []).append(sample)
    return {dataset.class_names[number]: found[number] for number in sorted(found)}


def known_classes(index: IndexDataset) -> list[str]:
    """The classes that can have templates, in the order of the class numbers.

    Raises
    ------
    DatasetError
        If there are none.
    """
    if index.is_rendered:
        return list(CLASSES)
    found = list(onboarding_frames(index.indexed))
    if not found:
        raise DatasetError(
            f"{index.root}: no training image has exactly one tag; templates are made of images of a single object"
        )
    return found
