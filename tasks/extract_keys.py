"""Stage 5: one feature vector (key) per patch of the images, from a pretrained network without further training."""

from __future__ import annotations

import luigi
import numpy as np

from data.store.sharded import StoredImage
from data.store.tiles import ArraySpec
from models.input_size import limited_scale
from tasks.index_dataset import IndexDataset
from tasks.runtime.backbone_names import is_cnn, is_network
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.numeric import scale_parameter, whole
from tasks.runtime.parameters import only
from tasks.runtime.resizing import ResizesImages
from tasks.runtime.weight_files import weights_identity


class ExtractKeys(ResizesImages, SplitStage):
    """Keys of the last attention block of a ViT, features of a stage of a CNN, or colours.

    The artifact holds the keys (float16, patch rows x patch columns x channels) and the number of patch rows and
    columns of each image.
    """

    version = 2
    in_workers = False
    autocasts = True

    backbone = luigi.Parameter(
        default="tf_efficientnet_lite0", description="timm name of the network, a ViT or a CNN; rgb: mean colours"
    )
    weights = only(
        luigi.Parameter(
            default="package", description="pretrained weights: hub, package, random, or the path of a file"
        ),
        backbone=is_network,
    )
    stride = only(
        whole(16, "pixels per feature; the deepest CNN stage of this stride is used", at_least=1, at_most=64),
        backbone=is_cnn,
    )
    image_scale = scale_parameter(2.0, "scale at which the network sees the image; above 1, patches are finer")
    batch_size = whole(8, "images per batch", at_least=1, significant=False)

    @property
    def network_scales(self):
        return (self.image_scale,)

    def requires(self):
        return {"dataset": self.upstream(IndexDataset)}

    def content_identity(self):
        return {"weights": weights_identity(self.weights, self.backbone)} if is_network(self.backbone) else {}

    def arrays(self, samples):
        extractor = self.new_extractor()
        grids = [extractor.grid(self.scaled(size)) for size in {sample.size for sample in samples} or {(1, 1)}]
        return {
            "key": ArraySpec(
                ("patch_y", "patch_x", "channel"), (*(max(sizes) for sizes in zip(*grids)), extractor.dim), "float16",
                float("nan"), {"long_name": f"features of {self.backbone}"},
            ),
            "grid": ArraySpec(("axis",), (2,), "int32", 0, {"long_name": "patch rows and columns of the image"}),
        }  # fmt: skip

    def new_extractor(self):
        """The network without its weights, a `models.features.PatchFeatures`; SettingError if it cannot be built."""
        import torch

        from data.errors import SettingError
        from models.features import Colours, build_key_extractor

        if not is_network(self.backbone):
            return Colours(self.stride)
        torch.manual_seed(0)  # for weights=random
        try:
            return build_key_extractor(self.backbone, self.stride)
        except ValueError as error:
            raise SettingError(str(error)) from error

    def network_inputs(self):
        return {}

    def network(self):
        import torch
        import torch.nn.functional as F

        from models.backbones import memory_format
        from tasks.runtime.network_map import BatchNetwork
        from tasks.runtime.networks import compiled, normalisation_of
        from tasks.runtime.tensors import colours
        from tasks.runtime.training_loop import choose_device
        from tasks.runtime.weights import load_weights

        device = choose_device(self.device)
        extractor = self.new_extractor()
        if is_network(self.backbone):
            load_weights(extractor.network, self.backbone, self.weights)
        layout = memory_format(extractor, device) if is_cnn(self.backbone) else torch.preserve_format
        network = compiled(extractor.to(device, memory_format=layout).eval(), self.compile)
        normalise = normalisation_of(self.backbone) if is_network(self.backbone) else torch.nn.Identity()

        def keys_of(images, samples):
            images = colours(images)
            size = self.scaled((images.shape[-2], images.shape[-1]))
            if size != tuple(images.shape[-2:]):
                images = F.interpolate(images, size=size, mode="bicubic", align_corners=False, antialias=True)
            return {"key": network(normalise(images.clamp(0, 1))).half()}

        def results(found, samples):
            keys = found["key"].numpy()
            return ({"key": values, "grid": np.array(values.shape[:2], np.int32)} for values in keys)

        return BatchNetwork(device, keys_of, results)

    def scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width at which the network sees an image of `size`."""
        seen = self.seen_size(size)
        scale = limited_scale(seen, self.image_scale)
        height, width = (max(1, round(side * scale)) for side in seen)
        return height, width


def read_keys(stored: StoredImage) -> np.ndarray:
    """Keys of one image, (h, w, D) float32, one per patch."""
    rows, columns = stored.read("grid")
    return stored.read("key", patch_y=int(rows), patch_x=int(columns)).astype(np.float32)
