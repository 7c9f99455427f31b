"""The seam between files and tensors: samples become normalised, augmented batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data.files.images import read_image
from data.sample import Sample
from data.store.sharded import ShardedStore
from tasks.runtime.copy_paste import Pasting, pasted


@dataclass(frozen=True)
class Normalisation:
    """Channel mean and standard deviation (RGB, of values in [0, 1]) that a network's weights expect."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """(..., 3, H, W) in [0, 1] -> normalised."""
        shape = (3, 1, 1)
        return (images - images.new_tensor(self.mean).view(shape)) / images.new_tensor(self.std).view(shape)

    def undo(self, images: Tensor) -> Tensor:
        """Normalised (..., 3, H, W) -> colours, cut to [0, 1]."""
        shape = (3, 1, 1)
        return (images * images.new_tensor(self.std).view(shape) + images.new_tensor(self.mean).view(shape)).clamp(0, 1)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images; the geometric ones apply to every map alike.

    Attributes
    ----------
    crop : (int, int)
        Height and width of the result; smaller images are padded.
    scale_min, scale_max : float
        Range of the random resize.
    flip : bool
        Mirror half of the images.
    jitter : float
        Brightness, contrast and saturation change by a factor in [1 - jitter, 1 + jitter].
    mosaic : float
        Share of the items that are four images at half size, two by two. Where training images show one
        object each, a network learns that an image has one class; four at once tell it otherwise.
    """

    crop: tuple[int, int]
    scale_min: float = 1.0
    scale_max: float = 1.0
    flip: bool = True
    jitter: float = 0.0
    mosaic: float = 0.0


@dataclass(frozen=True)
class MapSource:
    """An array of an artifact that is augmented along with the images.

    Attributes
    ----------
    path : Path
        Artifact over the same samples.
    array : str
    padding : float
        Value outside the image.
    numbers_regions : bool
        The values number the regions of an image: the images of a mosaic must not share them.
    """

    path: Path
    array: str
    padding: float
    numbers_regions: bool = False


def tags_of(samples: Sequence[Sample], num_classes: int) -> Tensor:
    """Image-level tags, (B, K) float32 in {0, 1}."""
    tags = torch.zeros(len(samples), num_classes)
    for row, sample in zip(tags, samples, strict=True):
        row[[label - 1 for label in sample.tags]] = 1
    return tags


def rgb_tensor(image: np.ndarray) -> Tensor:
    """RGB image (H, W, 3) uint8 -> (3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255


def image_tensor(sample: Sample) -> Tensor:
    """RGB image, (3, H, W) float32 in [0, 1]."""
    return rgb_tensor(read_image(sample.image))


def image_batch(samples: Sequence[Sample]) -> Tensor:
    """RGB images of one size, (B, 3, H, W) float32 in [0, 1]."""
    return torch.stack([image_tensor(sample) for sample in samples])


def batches_of_one_size(samples: Sequence[Sample], batch_size: int) -> Iterator[list[int]]:
    """Numbers of the samples in groups of equal image size, so that each group is one tensor."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for number, sample in enumerate(samples):
        by_size.setdefault(sample.size, []).append(number)
    for numbers in by_size.values():
        for start in range(0, len(numbers), batch_size):
            yield numbers[start : start + batch_size]


def map_images(samples: Sequence[Sample], batch_size: int, compute: Callable[[list[Sample]], Iterable]) -> list:
    """One result an image, in the order of the samples; `compute` gets images of equal size, a batch at a time."""
    found: dict[int, object] = {}
    for numbers in batches_of_one_size(samples, batch_size):
        found.update(zip(numbers, compute([samples[number] for number in numbers]), strict=True))
    return [found[number] for number in range(len(samples))]


class TrainingImages(Dataset):
    """Augmented training images; item (epoch, number) is the same whoever asks, and whenever.

    Each item has its own generator seeded by (seed, epoch, number): neither the order of asking, nor
    the number of loader processes, nor an interruption changes what an epoch shows.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        num_classes: int,
        normalisation: Normalisation,
        augmentation: Augmentation,
        seed: int,
        maps: Mapping[str, MapSource],
        pasting: Pasting | None = None,
    ):
        self.samples, self.num_classes, self.normalisation = samples, num_classes, normalisation
        self.augmentation, self.seed, self.maps, self.pasting = augmentation, seed, maps, pasting
        self.stores: dict[Path, ShardedStore] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        epoch, number = key
        settings = self.augmentation
        rng = np.random.default_rng([self.seed, epoch, number])
        if rng.random() >= settings.mosaic:
            return self._composed(number, settings.crop, 1.0, rng)
        others = rng.integers(len(self.samples), size=3)
        top, left = settings.crop[0] // 2, settings.crop[1] // 2
        heights, widths = (top, settings.crop[0] - top), (left, settings.crop[1] - left)
        tiles = [
            self._composed(int(n), (heights[place // 2], widths[place % 2]), 0.5, rng)
            for place, n in enumerate((number, *others))
        ]
        self._make_distinct(tiles)
        whole = {
            name: torch.cat([torch.cat([tiles[row][name], tiles[row + 1][name]], -1) for row in (0, 2)], -2)
            for name in ("image", *self.maps)
        }
        return {**whole, "tags": torch.stack([tile["tags"] for tile in tiles]).amax(0)}

    def _make_distinct(self, items: Sequence[Mapping[str, Tensor]]) -> None:
        """Renumber the regions of each item after those of the items before it, in place."""
        for name, source in self.maps.items():
            if not source.numbers_regions:
                continue
            start = 0
            for item in items:
                inside = item[name] != source.padding
                if inside.any():
                    item[name][inside] += start
                    start = int(item[name][inside].max()) + 1

    def _composed(self, number: int, crop: tuple[int, int], zoom: float, rng: np.random.Generator) -> dict[str, Tensor]:
        """An item, with the objects of another one on top of it where chance says so."""
        item = self._item(number, crop, zoom, rng)
        if self.pasting is None or rng.random() >= self.pasting.share:
            return item
        other, centre = self._item(int(rng.integers(len(self))), crop, zoom, rng), rng.random(2)
        objects = self.pasting.objects_of(other)
        if not objects.any():
            return item
        self._make_distinct([item, other])
        tags = torch.maximum(item.pop("tags"), other.pop("tags"))
        return {**pasted(item, other, objects, centre), "tags": tags}

    def _item(self, number: int, crop: tuple[int, int], zoom: float, rng: np.random.Generator) -> dict[str, Tensor]:
        sample = self.samples[number]
        layers = {name: self._read_map(source, number, sample.size) for name, source in self.maps.items()}
        image, layers = self._augment(image_tensor(sample), layers, crop, zoom, rng)
        return {"image": image, "tags": tags_of([sample], self.num_classes)[0], **layers}

    def whole(self, number: int) -> dict[str, Tensor]:
        """An item as it is in the data set: normalised, but neither resized nor cut, mirrored or jittered."""
        plain = Augmentation(crop=self.samples[number].size, flip=False)
        images = TrainingImages(self.samples, self.num_classes, self.normalisation, plain, self.seed, self.maps)
        return images[0, number]

    def _read_map(self, source: MapSource, number: int, size: tuple[int, int]) -> Tensor:
        store = self.stores.setdefault(source.path, ShardedStore(source.path))
        values = store.read_image(source.array, number)[: size[0], : size[1]]
        return torch.from_numpy(values.astype(np.int32) if values.dtype == np.uint16 else values.copy())

    def _augment(self, image: Tensor, layers: dict[str, Tensor], crop, zoom: float, rng: np.random.Generator):
        settings = self.augmentation
        # Draw all numbers first, so that the geometry does not depend on what is switched off.
        scale = zoom * float(np.exp(rng.uniform(np.log(settings.scale_min), np.log(settings.scale_max))))
        mirrored = bool(rng.random() < 0.5) and settings.flip
        place = rng.random(2)
        brightness, contrast, saturation = 1 + settings.jitter * rng.uniform(-1, 1, 3)
        if settings.jitter:
            image = jitter_colours(image, brightness, contrast, saturation)
        image = self.normalisation(image)
        if scale != 1.0:
            size = [max(1, round(side * scale)) for side in image.shape[1:]]
            image = F.interpolate(image[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]
            layers = {name: resize_nearest(values, size) for name, values in layers.items()}
        corner = [int(part * (abs(have - want) + 1)) for part, have, want in zip(place, image.shape[1:], crop)]
        image = crop_or_pad(image, crop, corner, 0.0)
        layers = {name: crop_or_pad(values, crop, corner, self.maps[name].padding) for name, values in layers.items()}
        if mirrored:
            image = image.flip(-1)
            layers = {name: values.flip(-1) for name, values in layers.items()}
        return image, layers


def jitter_colours(image: Tensor, brightness: float, contrast: float, saturation: float) -> Tensor:
    """Scale brightness, contrast (about the mean) and saturation (about grey) of (3, H, W) in [0, 1]."""
    image = (image * brightness).clamp(0, 1)
    image = (image.mean() + (image - image.mean()) * contrast).clamp(0, 1)
    grey = image.mean(0, keepdim=True)
    return (grey + (image - grey) * saturation).clamp(0, 1)


def resize_nearest(values: Tensor, size: Sequence[int]) -> Tensor:
    """(H, W) of any dtype -> `size`, nearest neighbour."""
    rows, columns = (
        ((torch.arange(new) + 0.5) * old / new).long().clamp(max=old - 1) for new, old in zip(size, values.shape)
    )
    return values[rows][:, columns]


def crop_or_pad(values: Tensor, size: tuple[int, int], corner: Sequence[int], padding: float) -> Tensor:
    """(..., H, W) -> (..., *size): along each axis cut from `corner` on, or place at `corner` and pad."""
    for axis, (want, start) in enumerate(zip(size, corner), start=values.ndim - 2):
        have = values.shape[axis]
        if have >= want:
            values = values.narrow(axis, start, want)
        else:
            shape = list(values.shape)
            shape[axis] = want
            whole = values.new_full(shape, padding)
            whole.narrow(axis, start, have).copy_(values)
            values = whole
    return values


def epoch_batches(images: TrainingImages, epoch: int, batch_size: int, loader_processes: int = 0) -> DataLoader:
    """Batches of one epoch in an order drawn from (seed, epoch); the last short batch is left out.

    A set smaller than a batch is one batch.
    """
    order = np.random.default_rng([images.seed, epoch]).permutation(len(images))
    size = min(batch_size, len(images))
    batches = [[(epoch, int(n)) for n in order[i : i + size]] for i in range(0, len(images) - size + 1, size)]
    return DataLoader(
        images,
        batch_sampler=batches,
        num_workers=loader_processes,
        # zarr keeps a thread: a forked loader process could hang in its lock
        multiprocessing_context="spawn" if loader_processes else None,
    )


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Number of batches that `epoch_batches` gives."""
    return count // min(batch_size, count)
