"""Augmented batches of training images, together with arrays of artifacts."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from data.files.working_size import full_size
from data.sample import Sample
from data.store.sharded import ShardedStore
from tasks.runtime.augmentation import Augmentation, crop_or_pad, jitter_colours, resize_map
from tasks.runtime.batch_order import BatchOrder
from tasks.runtime.copy_paste import Pasting, pasted
from tasks.runtime.cutouts import Cutouts
from tasks.runtime.tensors import Normalisation, image_tensor, tags_of

BATCHES_AHEAD = 4
"""Batches that a loader process loads ahead."""

MOST_PROCESSES = 16
"""Largest number of loader processes that is chosen for a training process."""

MANY_ITEMS = 1000
"""Images from which on the time to start loader processes, some seconds, is well spent."""


@dataclass(frozen=True)
class MapSource:
    """An array of an artifact that is augmented together with the images.

    Attributes
    ----------
    store : ShardedStore
        A store over the same samples in the same order.
    array : str
        Name of an array with one value per pixel.
    padding : float
        Value outside the image.
    numbers_regions : bool
        True if the values are numbers of regions of an image. Then the images of a mosaic get different numbers.
    holds_classes : bool
        True if the values are class numbers. Pasted photographs then bring the class of their object.
    """

    store: ShardedStore
    array: str
    padding: float
    numbers_regions: bool = False
    holds_classes: bool = False


class TrainingImages(Dataset):
    """Augmented training images. The item (turn, index) always has the same content.

    The turn says how often an image was shown before, roughly (`tasks.runtime.batch_order.BatchOrder`). Each item has
    its own random generator with the seed (seed, turn, index). So the items depend neither on their order, nor on the
    number of loader processes, nor on an interruption.

    An item is a dict: ``image``, (3, H, W) float32, normalised; ``tags``, (K,) float32 in {0, 1}; and each of the
    maps, (H, W). H and W are those of the crop.

    Parameters
    ----------
    samples : sequence of Sample
    num_classes : int
        Foreground classes K.
    normalisation : Normalisation
    augmentation : Augmentation
    seed : int
    maps : dict of name -> MapSource
    pasting : Pasting, optional
    cutouts : Cutouts, optional
        Objects that are pasted into each image before anything else.
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
        cutouts: Cutouts | None = None,
    ):
        self.cutouts = cutouts
        self.samples, self.num_classes, self.normalisation = samples, num_classes, normalisation
        self.augmentation, self.seed, self.maps, self.pasting = augmentation, seed, maps, pasting

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        turn, index = key
        settings = self.augmentation
        rng = np.random.default_rng([self.seed, turn, index])
        if rng.random() >= settings.mosaic:
            return self._composed(index, settings.crop, 1.0, rng)
        others = rng.integers(len(self.samples), size=3)
        top, left = settings.crop[0] // 2, settings.crop[1] // 2
        heights, widths = (top, settings.crop[0] - top), (left, settings.crop[1] - left)
        tiles = [
            self._composed(int(n), (heights[place // 2], widths[place % 2]), 0.5, rng)
            for place, n in enumerate((index, *others))
        ]
        self._make_distinct(tiles)
        whole = {
            name: torch.cat([torch.cat([tiles[row][name], tiles[row + 1][name]], -1) for row in (0, 2)], -2)
            for name in ("image", *self.maps)
        }
        return {**whole, "tags": torch.stack([tile["tags"] for tile in tiles]).amax(0)}

    def _make_distinct(self, items: Sequence[Mapping[str, Tensor]]) -> None:
        """Renumber the regions of the items in place, so that no two items share a number."""
        for name, source in self.maps.items():
            if not source.numbers_regions:
                continue
            start = 0
            for item in items:
                inside = item[name] != source.padding
                if inside.any():
                    item[name][inside] += start
                    start = int(item[name][inside].max()) + 1

    def _composed(self, index: int, crop: tuple[int, int], zoom: float, rng: np.random.Generator) -> dict[str, Tensor]:
        """One image of an item. With the probability `Pasting.share`, objects of another image are pasted into it."""
        item = self._item(index, crop, zoom, rng)
        if self.pasting is None or rng.random() >= self.pasting.share:
            return item
        other, centre = self._item(int(rng.integers(len(self))), crop, zoom, rng), rng.random(2).tolist()
        objects = self.pasting.objects_of(other)
        if not objects.any():
            return item
        self._make_distinct([item, other])
        tags = torch.maximum(item.pop("tags"), other.pop("tags"))
        return {**pasted(item, other, objects, centre), "tags": tags}

    def _item(self, index: int, crop: tuple[int, int], zoom: float, rng: np.random.Generator) -> dict[str, Tensor]:
        sample = self.samples[index]
        layers = {name: self._read_map(source, index, sample.size) for name, source in self.maps.items()}
        image, tags = image_tensor(sample), tags_of([sample], self.num_classes)[0]
        if self.cutouts:
            shrunk = max(sample.size) / max(full_size(sample))
            self.cutouts.paste(image, layers, self.maps, tags, rng.spawn(1)[0], shrunk)
        image, layers = self._augment(image, layers, crop, zoom, rng)
        return {"image": image, "tags": tags, **layers}

    def whole(self, index: int) -> dict[str, Tensor]:
        """The whole image and its maps without augmentation: only normalised."""
        plain = Augmentation(crop=self.samples[index].size, flip=False)
        images = TrainingImages(self.samples, self.num_classes, self.normalisation, plain, self.seed, self.maps)
        return images[0, index]

    def _read_map(self, source: MapSource, index: int, size: tuple[int, int]) -> Tensor:
        values = source.store.read_image(source.array, index, size)
        # torch has few operations on unsigned 16 bits
        return torch.from_numpy(values.astype(np.int32) if values.dtype == np.uint16 else values.copy())

    def _augment(self, image: Tensor, layers: dict[str, Tensor], crop, zoom: float, rng: np.random.Generator):
        settings = self.augmentation
        # Draw the random numbers first, in a fixed order: the geometry does not depend on the change of colours.
        scale, resized = settings.draw_scale(image.shape[1:], rng)
        scale *= zoom
        if settings.fit:
            have = [resized * side for side in settings.enlarged(image.shape[1:])]
            scale *= min(1.0, *(side / of_image for side, of_image in zip(settings.crop, have, strict=True)))
        mirrored = bool(rng.random() < 0.5) and settings.flip
        place = rng.random(2)
        brightness, contrast, saturation = 1 + settings.jitter * rng.uniform(-1, 1, 3)
        hue = settings.hue * float(rng.spawn(1)[0].uniform(-1, 1)) if settings.hue else 0.0
        if settings.jitter or settings.hue:
            image = jitter_colours(image, brightness, contrast, saturation, hue)
        image = self.normalisation(image)
        if scale != 1.0:
            size = [max(1, round(side * scale)) for side in image.shape[1:]]
            image = F.interpolate(image[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]
            layers = {name: resize_map(values, size) for name, values in layers.items()}
        corner = [int(part * (abs(have - want) + 1)) for part, have, want in zip(place, image.shape[1:], crop)]
        image = crop_or_pad(image, crop, corner, 0.0)
        layers = {name: crop_or_pad(values, crop, corner, self.maps[name].padding) for name, values in layers.items()}
        if mirrored:
            image = image.flip(-1)
            layers = {name: values.flip(-1) for name, values in layers.items()}
        return image, layers


def batches_from(
    images: TrainingImages,
    order: BatchOrder,
    epochs: int,
    step: int = 0,
    own: Callable[[list[tuple[int, int]]], list[tuple[int, int]]] = list,
    loader_processes: int = 0,
    pinned: bool = False,
) -> DataLoader:
    """The batches of a training from a step on. The processes that load images live until the last epoch ends.

    Parameters
    ----------
    images : TrainingImages
    order : BatchOrder
        Which items the batches have.
    epochs : int
        Epochs of the whole training.
    step : int
        Steps done in all epochs.
    own : callable
        Keys of the items of a batch -> those that are loaded; the default takes all.
    loader_processes : int
        Processes that load images; 0 = this process.
    pinned : bool
        Keep batches in memory from which a GPU copies at full speed.

    Returns
    -------
    DataLoader
        Batches are dicts of tensors: the items of `TrainingImages` with a leading dimension.
    """
    return DataLoader(
        images,
        batch_sampler=_Batches(order, epochs, step, own),
        num_workers=loader_processes,
        # zarr runs a thread: in a forked process, its lock could block for ever
        multiprocessing_context="spawn" if loader_processes else None,
        prefetch_factor=BATCHES_AHEAD if loader_processes else None,
        worker_init_fn=_ignore_signals if loader_processes else None,
        pin_memory=pinned,
        generator=torch.Generator(),  # else it would take random numbers from the training
    )


class _Batches(Sampler[list[tuple[int, int]]]):
    """The keys of the items of each batch."""

    def __init__(
        self,
        order: BatchOrder,
        epochs: int,
        step: int,
        own: Callable[[list[tuple[int, int]]], list[tuple[int, int]]],
    ):
        self.order, self.epochs, self.step, self.own = order, epochs, step, own

    def __len__(self) -> int:
        return self.epochs * self.order.steps - self.step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        first, skipped = divmod(self.step, self.order.steps)
        for epoch in range(first, self.epochs):
            for keys in self.order.batches(epoch)[skipped:]:
                yield self.own(keys)
            skipped = 0


def _ignore_signals(number: int) -> None:
    """In a loader process: a signal to all processes of a job must not end it before the training has saved its state.

    It ends with the process that started it.
    """
    for received in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(received, signal.SIG_IGN)


def fitting_processes(wanted: int, device_kind: str, cores: int, items: int) -> int:
    """How many processes load images.

    Parameters
    ----------
    wanted : int
        -1 = as many as fit the machine.
    device_kind : str
        ``cpu`` or ``cuda``. A network on the CPU needs the cores itself.
    cores : int
        For this training process.
    items : int
        Images that are still to be loaded.

    Examples
    --------
    >>> fitting_processes(-1, "cuda", cores=16, items=100_000), fitting_processes(-1, "cpu", cores=16, items=100_000)
    (15, 0)
    """
    if multiprocessing.current_process().daemon:  # such a process may not start others
        return 0
    if wanted >= 0:
        return wanted
    if device_kind == "cpu" or cores <= 2 or items < MANY_ITEMS:
        return 0
    return min(cores - 1, MOST_PROCESSES)
