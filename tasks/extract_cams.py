"""Stage 4: class activation maps of the training images, for the classes that their tags name."""

from __future__ import annotations

import luigi
import numpy as np

from data.sample import TRAIN, Sample
from data.store.sharded import ArraySpec, ShardedStore
from tasks.index_dataset import IndexDataset
from tasks.runtime.layout import SHARD_SIZE, create_store, padded_size
from tasks.runtime.stage import ScalesParameter, StageTask
from tasks.train_classifier import TrainClassifier

CAM_STRIDE = 4
"""Pixels a stored cell: finer than any network's own stride, 16 times smaller than the image."""


class ExtractCams(StageTask):
    """Multi-scale and mirrored CAMs, normalised by their maximum (eqs. 3.2, 3.3; 2.4, 2.5 with fusion max)."""

    resources = {"gpu": 1}
    came_later = {"fusion": "mean"}

    scales = ScalesParameter(default=(1.0, 1.5), description="sizes of the image, relative")
    flip = luigi.BoolParameter(default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description="also mirrored")
    fusion = luigi.ChoiceParameter(
        default="mean", choices=("mean", "max"), description="over scales and mirror images; max in image masking"
    )
    batch_size = luigi.IntParameter(default=16, significant=False)
    shard_size = luigi.IntParameter(default=SHARD_SIZE, description="images a shard")

    def requires(self):
        return [self.upstream(IndexDataset), self.upstream(TrainClassifier)]

    def work(self) -> int:
        import torch

        from models.cam.extraction import extract_cams
        from tasks.runtime.batches import image_batch, map_images, tags_of
        from tasks.runtime.networks import load_trained, normalisation_of
        from tasks.runtime.training_loop import choose_device

        index, samples = self.index, self.index.split(TRAIN)
        device = choose_device(self.device)
        trained = self.upstream(TrainClassifier)
        network = load_trained(trained.network(), trained.artifact, device)
        normalise = normalisation_of(trained.backbone)
        slots = max(len(sample.tags) for sample in samples)
        arrays = {
            "cam": ArraySpec(
                ("slot", "y", "x"), (slots, *padded_size(samples, CAM_STRIDE)), "float16", float("nan"),
                {"units": "1", "long_name": f"CAM / its maximum, one cell {CAM_STRIDE} pixels"},
            ),
            "slot_class": ArraySpec(("slot",), (slots,), "int16", -1, {"long_name": "class of each slot, -1 = none"}),
        }  # fmt: skip
        store = create_store(self.artifact, index, samples, arrays, self.description(), self.shard_size)

        def cams_of(batch: list[Sample]) -> list[np.ndarray]:
            images, labels = normalise(image_batch(batch)).to(device), tags_of(batch, index.num_classes).to(device)
            size = padded_size(batch, CAM_STRIDE)
            with torch.inference_mode():
                maps = extract_cams(network, images, labels, size, self.scales, self.flip, self.fusion).cpu()
            return [
                values[[label - 1 for label in sample.tags]].half().numpy()
                for sample, values in zip(batch, maps, strict=True)
            ]

        missing = store.missing_shards()
        for shard in self.progress(missing, len(missing), "shard"):
            here = [samples[number] for number in store.images_of(shard)]
            slots = [np.array(sample.tags, np.int16) for sample in here]
            store.write_shard(shard, {"cam": map_images(here, self.batch_size, cams_of), "slot_class": slots})
        return sum(len(store.images_of(shard)) for shard in missing)


def read_cam(store: ShardedStore, number: int, size: tuple[int, int]):
    """CAMs of one image at its own resolution.

    Returns
    -------
    cam : Tensor, (S, H, W), float32 in [0, 1]
    classes : Tensor, (S,), int64
    """
    import torch
    import torch.nn.functional as F

    classes = store.read_image("slot_class", number)
    classes = classes[classes > 0]
    cells = [-(-side // CAM_STRIDE) for side in size]
    cam = torch.from_numpy(store.read_image("cam", number)[: len(classes), : cells[0], : cells[1]].astype(np.float32))
    if len(classes):
        cam = F.interpolate(cam[None], size=size, mode="bilinear", align_corners=False)[0]
    else:
        cam = torch.zeros(0, *size)
    return cam, torch.from_numpy(classes.astype(np.int64))
