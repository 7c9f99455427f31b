"""Stage 6: superpixels of the images: groups of cells or patches with similar keys, or plain SLIC."""

from __future__ import annotations

import numpy as np

from data.errors import ImageError, SettingError
from data.files.working_size import sample_image
from data.sample import Sample
from data.store.tiles import ArraySpec
from models.crf_constants import CRF_PRESETS, ENGINES, installed_engine
from tasks.extract_keys import ExtractKeys, read_keys
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.layout import image_map
from tasks.runtime.numeric import number, whole
from tasks.runtime.parameters import Choice, RegistryParameter, flag, nonzero, one_of, only
from tasks.runtime.resizing import SIDES, nearest_at_size, resize_to_parameter, resized_picture, resized_size
from tasks.runtime.shards import ImageInputs
from tasks.runtime.stage import Stages

NO_SUPERPIXEL = 65535
"""Value of the padding. Superpixels have 16 bits, since an image may have more than 255."""

MAX_CELLS = 60_000
"""Largest number of cells to ask for. SLIC makes some more or fewer than that."""


def from_cells(
    sample: Sample,
    inputs: ImageInputs,
    tau: float,
    seed_rule: str,
    centre: bool,
    depth_weight: float,
    colour_weight: float,
    edge_factor: float,
    least_edge: float,
    plane: bool,
    holes: bool,
    cells: int,
) -> np.ndarray:
    """Superpixels that are groups of cells, with borders at colour and depth edges (ours).

    Parameters
    ----------
    sample : Sample
    inputs : ImageInputs
        ``keys``, and ``depth`` if `depth_weight` is not 0.
    tau, seed_rule, centre, depth_weight, colour_weight, edge_factor, least_edge, plane, holes, cells
        The parameters of `DiscoverSuperpixels`.

    Returns
    -------
    ndarray, (H, W), integer from 0
    """
    import torch

    from models.depth_segments import Surfaces, surfaces_of
    from models.superpixel_cells import discover_on_cells

    image, keys = sample_image(sample), torch.from_numpy(read_keys(inputs["keys"]))
    surfaces, weight = Surfaces(np.zeros(sample.size, np.int64), np.zeros(sample.size, bool)), 0.0
    if depth_weight:
        depth, valid = read_surface(inputs["depth"])
        surfaces = surfaces_of(image, depth, valid, edge_factor, least_edge, plane, holes)
        weight = depth_weight if valid.any() else 0.0
    return discover_on_cells(image, keys, surfaces, cells, weight, colour_weight, tau, seed_rule, centre)


def from_patches(
    sample: Sample,
    inputs: ImageInputs,
    tau: float,
    seed_rule: str,
    centre: bool,
    refinement: str,
    crf: str,
    resize_side: str,
    resize_to: int,
) -> np.ndarray:
    """Superpixels that are groups of patches (S. Kim, SNU 2022, eq. 3.1), refined to pixels by a dense CRF.

    Parameters
    ----------
    sample : Sample
    inputs : ImageInputs
        ``keys``.
    tau, seed_rule, centre, refinement, crf, resize_side, resize_to
        The parameters of `DiscoverSuperpixels`.

    Returns
    -------
    ndarray, (H, W), integer from 0
        The borders of large images with many superpixels are coarse (`models.crf.crf_scale`).
    """
    import torch

    from models.crf import crf_from_labels
    from models.features import centre as centre_keys
    from models.superpixels import discover_superpixels, renumber, superpixels_at_pixels

    patches = read_keys(inputs["keys"])
    rows, columns, _ = patches.shape
    keys = torch.from_numpy(patches).reshape(1, rows * columns, -1)
    labels = discover_superpixels(centre_keys(keys) if centre else keys, tau, seed_rule)
    seen = resized_size(sample.size, resize_side, resize_to) if refinement == "crf" else sample.size
    pixels = superpixels_at_pixels(labels.view(rows, columns), seen)
    if refinement == "crf":
        count = int(pixels.max()) + 1
        image = resized_picture(sample_image(sample), seen)
        refined = crf_from_labels(image, pixels.numpy(), count, CRF_PRESETS[crf], installed_engine())
        pixels = torch.from_numpy(nearest_at_size(refined, sample.size))
    return renumber(pixels).numpy()


def plain_slic(sample: Sample, inputs: ImageInputs, cells: int) -> np.ndarray:
    """SLIC superpixels of scikit-image, for comparison, (H, W) integer from 0; `cells` is the requested number."""
    from skimage.segmentation import slic

    return slic(sample_image(sample), cells, start_label=0)


def from_opencv(method: str, sample: Sample, **size: int) -> np.ndarray:
    """Superpixels of OpenCV, (H, W) integer from 0; SettingError if OpenCV is not installed."""
    from models import opencv_superpixels

    try:
        return getattr(opencv_superpixels, method)(sample_image(sample), **size)
    except ImportError as error:
        raise SettingError(f"{error}; use: pip install 'depthseed[opencv]'") from error


def opencv_slic(sample: Sample, inputs: ImageInputs, region_size: int) -> np.ndarray:
    """SLIC superpixels of OpenCV (table 3.5 of S. Kim, SNU 2022), (H, W) integer from 0."""
    return from_opencv("opencv_slic", sample, region_size=region_size)


def opencv_lsc(sample: Sample, inputs: ImageInputs, region_size: int) -> np.ndarray:
    """LSC superpixels of OpenCV (table 3.5 of S. Kim, SNU 2022), (H, W) integer from 0."""
    return from_opencv("opencv_lsc", sample, region_size=region_size)


def opencv_seeds(sample: Sample, inputs: ImageInputs, cells: int) -> np.ndarray:
    """SEEDS superpixels of OpenCV (table 3.5 of S. Kim, SNU 2022), (H, W) integer from 0; `cells` are requested.

    ImageError if SEEDS cannot make so many of this image.
    """
    try:
        return from_opencv("opencv_seeds", sample, count=cells)
    except SettingError:
        raise
    except ValueError as error:
        raise ImageError(
            f"{sample.image_id}: {error}; choose another --DiscoverSuperpixels-cells or --DiscoverSuperpixels-units"
        ) from error


UNITS: dict[str, Choice] = {
    "cells": Choice(
        from_cells,
        (
            "tau",
            "seed_rule",
            "centre",
            "depth_weight",
            "colour_weight",
            "edge_factor",
            "least_edge",
            "plane",
            "holes",
            "cells",
        ),
        inputs=("keys", "depth"),
    ),
    "patches": Choice(
        from_patches,
        ("tau", "seed_rule", "centre", "refinement", "crf", "resize_side", "resize_to"),
        inputs=("keys",),
    ),
    "slic": Choice(plain_slic, ("cells",)),
    "opencv_slic": Choice(opencv_slic, ("region_size",)),
    "opencv_lsc": Choice(opencv_lsc, ("region_size",)),
    "opencv_seeds": Choice(opencv_seeds, ("cells",)),
}
"""units -> function (sample, inputs, parameters) -> superpixel of each pixel of the image, (H, W) integer from 0.

The first parameter is the one that decides most how many superpixels there are.
"""


class DiscoverSuperpixels(SplitStage):
    """Discovery of superpixels, lowest degree first (S. Kim, SNU 2022, eq. 3.1), on cells or patches.

    Cells end at depth edges (ours). Patches are refined by a dense CRF, as published. The artifact holds the superpixel
    of each pixel (uint16, from 0) and the number of superpixels of each image.
    """

    version = 6

    tau = number(0.4, "affinity above which a cell or patch joins a superpixel", at_least=-1, at_most=1)
    seed_rule = one_of(
        ("lowest", "highest", "ncut"),
        "lowest",
        "how a superpixel is found: from a seed of lowest or highest degree; ncut: by a normalised cut (slow)",
    )
    centre = flag(True, "subtract the mean key of the image; needed for keys of a CNN")
    units = RegistryParameter(
        UNITS,
        "cells",
        "what superpixels are made of: cells with borders at colour and depth edges, or patches; the others are plain "
        "superpixels for comparison",
    )
    depth_weight = number(0.3, "share of depth in the affinity, 0 = no depth", at_least=0, at_most=1)
    colour_weight = number(0.4, "share of colour in what depth leaves of the affinity", at_least=0, at_most=1)
    edge_factor = only(
        number(2.5, "depth edges above this multiple of the noise of the image separate surfaces", at_least=0),
        depth_weight=nonzero,
    )
    least_edge = only(
        number(0.006, "smallest step in depth that separates surfaces, in metres", above=0),
        depth_weight=nonzero,
    )
    plane = only(
        flag(True, "what stands above the support plane is a surface of its own, and shadows on it are not"),
        depth_weight=nonzero,
    )
    holes = only(flag(True, "large regions without depth are surfaces of their own"), depth_weight=nonzero)
    cells = whole(200, "approximate number of cells per image", at_least=1, at_most=MAX_CELLS)
    region_size = whole(80, "average side of a superpixel in pixels", at_least=4, at_most=1000)
    refinement = one_of(("crf", "nearest"), "crf", "refinement from patches to pixels")
    crf = only(one_of(CRF_PRESETS, "irn", "preset of CRF constants"), refinement="crf")
    resize_side = only(
        one_of(SIDES, "none", "side of the image that is brought to a length before the CRF sees it"), refinement="crf"
    )
    resize_to = resize_to_parameter()

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset)}
        needed = UNITS[self.units].inputs
        if "keys" in needed:
            stages["keys"] = self.upstream(ExtractKeys, split=self.split)
        if "depth" in needed and self.depth_weight:
            stages["depth"] = self.upstream(LoadDepth, split=self.split)
        return stages

    @property
    def uses_crf(self) -> bool:
        """True if a dense CRF refines the superpixels."""
        return self.units == "patches" and self.refinement == "crf"

    def content_identity(self):
        other = self.uses_crf and installed_engine() != ENGINES[0]  # its results differ by rounding
        sized = "region_size" in UNITS[self.units].parameters  # it was once not limited to the shorter side
        return {
            **({"crf engine": installed_engine()} if other else {}),
            **({"region size": "2"} if sized else {}),
            **super().content_identity(),
        }

    def arrays(self, samples):
        return {
            "superpixel": image_map(samples, "uint16", NO_SUPERPIXEL, "superpixel, 65535 = padding"),
            "count": ArraySpec((), (), "uint16", NO_SUPERPIXEL, {"long_name": "superpixels of the image"}),
        }

    def count(self, sample, image, num_classes):
        from models.crf import crf_scale

        count = int(image.read("count"))
        seen = resized_size(sample.size, self.resize_side, self.resize_to) if self.uses_crf else sample.size
        return np.array([count == 1, crf_scale(seen, count) < 1], np.int64)

    def findings(self):
        alone, large = self.counts() if self.samples else (0, 0)
        found = []
        if alone:
            name = UNITS[self.units].parameters[0].replace("_", "-")
            found.append(
                f"{alone} of {len(self.samples)} images are one single superpixel: check --DiscoverSuperpixels-{name}"
            )
        if large and self.uses_crf:
            found.append(
                f"{large} of {len(self.samples)} images have too many pixels and superpixels for the memory of the "
                "dense CRF: it has seen them smaller, so their borders are coarse; lower --DiscoverSuperpixels-tau"
            )
        return found

    def compute(self, sample, inputs):
        units = UNITS[self.units]
        superpixels = units.function(sample, inputs, **units.settings(self))
        if superpixels.max() >= NO_SUPERPIXEL:
            raise ImageError(
                f"{sample.image_id}: has {superpixels.max() + 1} superpixels, at most {NO_SUPERPIXEL} can be kept; "
                "lower --DiscoverSuperpixels-tau or --DiscoverSuperpixels-cells"
            )
        return {"superpixel": superpixels.astype(np.uint16), "count": np.uint16(superpixels.max() + 1)}
