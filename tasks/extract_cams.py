"""Stage 4: class activation maps (CAMs) of the training images, for the classes of their tags."""

from __future__ import annotations

import numpy as np

from data.errors import QualityError
from data.store.sharded import StoredImage
from data.store.tiles import ArraySpec
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import ImageStage
from tasks.runtime.layout import padded_size
from tasks.runtime.numeric import scales_parameter, whole
from tasks.runtime.parameters import flag, one_of
from tasks.runtime.resizing import ResizesImages, least_side_parameter, resized
from tasks.train_classifier import TrainClassifier

CAM_STRIDE = 4
"""Pixels per stored cell, in each direction. It is finer than the stride of any network."""


class ExtractCams(ResizesImages, ImageStage):
    """CAMs over scales and mirror images, divided by their maximum (S. Kim, SNU 2022, eqs. 3.2, 3.3).

    With ``fusion=max`` this is eqs. 2.4 and 2.5. The artifact holds one CAM per tag of an image (float16 in [0, 1],
    cells of `CAM_STRIDE` pixels) and the class number of each CAM. `read_cam` reads them.
    """

    version = 3
    bf16_version = 1
    in_workers = False
    autocasts = True

    least_side = least_side_parameter()
    scales = scales_parameter((1.0, 1.5), "scales of the image, relative to its size")
    flip = flag(True, "also use the mirrored image")
    fusion = one_of(
        ("mean", "max"), "mean", "how CAMs of several scales and mirrored images are combined; image masking uses max"
    )
    batch_size = whole(16, "images per batch", at_least=1, significant=False)

    @property
    def network_scales(self):
        return self.scales

    @property
    def values_per_pixel(self):
        return self.num_classes / CAM_STRIDE**2

    def requires(self):
        return {"dataset": self.upstream(IndexDataset), "classifier": self.upstream(TrainClassifier)}

    def arrays(self, samples):
        slots = max((len(sample.tags) for sample in samples), default=1)
        return {
            "cam": ArraySpec(
                ("slot", "y", "x"), (slots, *padded_size(samples, CAM_STRIDE)), "float16", float("nan"),
                {"units": "1", "long_name": f"CAM / its maximum, one cell per {CAM_STRIDE} pixels"}, CAM_STRIDE,
            ),
            "slot_class": ArraySpec(("slot",), (slots,), "int16", -1, {"long_name": "class of each slot, -1 = none"}),
        }  # fmt: skip

    def count(self, sample, image, num_classes):
        cams = image.read("cam")[: len(sample.tags)]
        flat = sum(bool(cam.min() == cam.max()) for cam in cams)
        return np.array([len(cams), flat])

    def findings(self):
        total, flat = self.counts()
        if total and flat == total:
            raise QualityError(
                f"ExtractCams: all {total} CAMs of {self.required['classifier'].artifact} have one value everywhere, "
                "so this classifier has found nothing; train it longer (--TrainClassifier-epochs), or check that the "
                "tags fit the images"
            )
        if not flat:
            return []
        told = f"{flat} of {total} CAMs have one value everywhere"
        return [f"{told}: their objects get no seed, and their images no background"]

    def network_inputs(self):
        return {"classifier": self.required["classifier"].artifact, "num_classes": self.num_classes}

    def network(self, classifier, num_classes):
        from models.cam.extraction import extract_cams
        from tasks.runtime.network_map import BatchNetwork
        from tasks.runtime.networks import compiled
        from tasks.runtime.tensors import colours, tags_of
        from tasks.runtime.training_loop import choose_device

        device = choose_device(self.device)
        model = classifier.load(device)
        compiled(model.network, self.compile)

        def cams_of(images, samples):
            tags, size = tags_of(samples, num_classes).to(device), padded_size(samples, CAM_STRIDE)
            images = model.normalise(colours(images))
            images = resized(images, self.seen_size((images.shape[-2], images.shape[-1])))
            maps = extract_cams(model.network, images, tags, size, self.scales, self.flip, self.fusion)
            return {"cam": maps.half()}

        def results(found, samples):
            for sample, values in zip(samples, found["cam"], strict=True):
                present = values[[tag - 1 for tag in sample.tags]]
                yield {"cam": present.numpy(), "slot_class": np.array(sample.tags, np.int16)}

        return BatchNetwork(device, cams_of, results)


def read_cam(stored: StoredImage):
    """CAMs of one image, resized to its pixels (bilinear).

    Returns
    -------
    cam : Tensor, (S, H, W), float32 in [0, 1]
        One per tag of the image.
    classes : Tensor, (S,), int64
        Class numbers of the CAMs, 1..K.
    """
    import torch
    import torch.nn.functional as F

    classes = stored.read("slot_class")
    classes = classes[classes > 0]
    cam = torch.from_numpy(stored.read("cam")[: len(classes)].astype(np.float32))
    if len(classes):
        cam = F.interpolate(cam[None], size=stored.size, mode="bilinear", align_corners=False)[0]
    else:
        cam = torch.zeros(0, *stored.size)
    return cam, torch.from_numpy(classes.astype(np.int64))
