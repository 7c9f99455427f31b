"""Figure 3.14 of S. Kim, SNU 2022, of a data set: ``python -m pipeline show ExtractKeys --similarities``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from data.errors import DatasetError, SettingError
from data.files.labels import read_truth
from data.files.working_size import sample_image
from data.sample import BACKGROUND, UNLABELLED, Sample, spread
from pipeline.report.colours import colour_heat, save_sheet
from tasks.extract_keys import ExtractKeys
from tasks.runtime.shards import ImageInputs, open_stores

COLUMNS = ("image", "object", "positiveness", "negativeness")
IMAGES = 6


def similarity_sheet(task: ExtractKeys, image: str | None, output: Path) -> None:
    """Draw `COLUMNS` of some images, or of one, into a PNG file. The object is the largest class of the ground truth.

    Raises
    ------
    SettingError
        If the task is not ExtractKeys, is not complete, or does not have the image.
    DatasetError
        If no image has an object in its ground truth.
    """
    if not isinstance(task, ExtractKeys):
        raise SettingError("--similarities needs keys; use: python -m pipeline show ExtractKeys --similarities")
    if not task.complete():
        raise SettingError(f"there are no keys yet; run: luigi --module pipeline ExtractKeys --dataset {task.dataset}")
    dataset = task.required["dataset"].read_with_truth()
    samples = dataset.split(task.split)
    if image is not None and image not in samples.ids:
        raise SettingError(f"the {task.split} split has no image '{image}'; the first is {samples.ids[0]}")
    stores = open_stores({"keys": task.open()})
    places = [samples.ids.index(image)] if image is not None else spread(samples, IMAGES)
    pictures: list[np.ndarray] = []
    for place in places:
        sample = samples[place]
        truth = read_truth(sample, dataset.num_classes)
        if truth is not None and _objects(truth).size:
            pictures += similarity_pictures(sample, truth, ImageInputs(stores, place, sample.size, dataset.num_classes))
    if not pictures:
        raise DatasetError(f"{task.dataset}: no image has an object in its ground truth; choose another data set")
    save_sheet(output, pictures, columns=len(COLUMNS))


def similarity_pictures(sample: Sample, truth: np.ndarray, inputs: ImageInputs) -> list[np.ndarray]:
    """The pictures of one image, in the order of `COLUMNS`.

    Parameters
    ----------
    sample : Sample
    truth : ndarray, (H, W), uint16
    inputs : ImageInputs
        ``keys``.

    Returns
    -------
    list of ndarray, (H, W, 3), uint8
    """
    import torch

    from models.similarity_maps import positiveness

    rows, columns = map(int, inputs["keys"].read("grid"))
    keys = inputs["keys"].read("key", patch_y=rows, patch_x=columns).astype(np.float32)
    objects = _objects(truth)
    largest = int(np.bincount(objects).argmax())
    inside = at_patches(truth == largest, (rows, columns))
    counts = positiveness(torch.from_numpy(keys).flatten(0, 1), torch.from_numpy(inside).flatten())
    picture = sample_image(sample)
    most = max(int(inside.sum()), 1)
    maps = [at_pixels(count.view(rows, columns).numpy() / most, sample.size) for count in counts]
    return [picture, np.where((truth == largest)[..., None], picture, 255).astype(np.uint8), *map(colour_heat, maps)]


def _objects(truth: np.ndarray) -> np.ndarray:
    """Classes of the pixels of objects, (M,)."""
    return truth[(truth != BACKGROUND) & (truth != UNLABELLED)]


def at_patches(mask: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Patches of which at least half is in the mask, (rows, columns), bool."""
    rows, columns = grid
    share = Image.fromarray(mask.astype(np.uint8) * 255).resize((columns, rows), Image.Resampling.BOX)
    return np.asarray(share) >= 128


def at_pixels(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Values of patches at the pixels of the image, (H, W)."""
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size[::-1], Image.Resampling.NEAREST))
