"""How objects are best described for ``--method match``: top-1 and top-3 of naming objects whose true mask is given.

    python benchmarks/matching.py --data-root DIR [--dataset hope] [--artifacts DIR] [--backbone NAME --weights FILE]
    python benchmarks/matching.py --data-root DIR --dataset folder --templates-of scene_1 --objects-of scene_2,scene_3

Templates are the objects of the training frames with one tag, cut out by the stages LoadDepth and SplitInstances. They
name the true instances of the evaluation frames. The second command is for choosing settings: templates and objects are
the true instances of training frames, of those whose names begin in one of the ways that are given.

The tables show: stride of the network, pooling, and whether the surroundings are suppressed. For the default, too: the
number of templates of a class, the number of nearest templates that are averaged, and the threshold for unknown
objects, where each class is left out in turn.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import luigi
import numpy as np
import torch
from torch import Tensor

from data.files.images import read_image
from data.files.instance_truth import read_instances
from data.sample import EVALUATION, TRAIN, Sample
from models.object_crops import object_keys
from models.templates import NEAREST, k_medoids, learned_threshold, match_templates, similarity
from tasks.build_templates import BuildTemplates, onboarding_frames
from tasks.index_dataset import IndexDataset
from tasks.runtime.object_keys import Describer, Description
from tasks.runtime.tensors import rgb_tensor
from tasks.split_instances import SplitInstances


class Objects(NamedTuple):
    """Images and masks of objects, and their classes, (N,) int64."""

    images: list[np.ndarray]
    masks: list[np.ndarray]
    classes: np.ndarray


class Cells(NamedTuple):
    """What the network says of objects: features (N, h, w, D), and shares of the pixels in the mask (N, S, S)."""

    features: Tensor
    shares: Tensor

    def keys(self, pooling: str) -> np.ndarray:
        return object_keys(self.features, self.shares, pooling).numpy()


def templates_and_objects(split: SplitInstances) -> tuple[Objects, Objects]:
    """The largest instance on the plane in each onboarding frame, and all true instances of the evaluation frames."""
    index = split.required["dataset"]
    dataset, store = index.read_with_truth(), split.open()
    place = {sample.image_id: position for position, sample in enumerate(dataset.split(TRAIN))}
    rows = []
    for name, samples in onboarding_frames(dataset).items():
        for sample in samples:
            instances = store.read_image("instance", place[sample.image_id], sample.size)
            sizes = np.bincount(instances.ravel())
            sizes[0] = 0
            if sizes.any():
                rows.append((read_image(sample.image), instances == sizes.argmax(), dataset.class_names.index(name)))
    return _objects(rows), true_objects(dataset.split(EVALUATION), dataset.num_classes)


def true_objects(samples: Iterable[Sample], num_classes: int) -> Objects:
    """The true instances of known class."""
    return _objects([
        (read_image(sample.image), item.mask, item.class_number)
        for sample in samples
        for item in read_instances(sample, num_classes) or ()
        if item.class_number and not item.ignored
    ])  # fmt: skip


def training_objects(index: IndexDataset, beginnings: Sequence[str]) -> Objects:
    """The true instances of the training frames whose file names begin with one of `beginnings`."""
    dataset = index.read_with_truth()
    chosen = (sample for sample in dataset.split(TRAIN) if sample.image.name.startswith(tuple(beginnings)))
    return true_objects(chosen, dataset.num_classes)


def _objects(rows: Iterable[tuple[np.ndarray, np.ndarray, int]]) -> Objects:
    images, masks, classes = map(list, zip(*rows))
    return Objects(images, masks, np.array(classes))


def cells_of(describer: Describer, objects: Objects) -> Cells:
    pairs = zip(map(rgb_tensor, objects.images), objects.masks, strict=True)
    features, shares = map(torch.cat, zip(*describer.cells(pairs), strict=True))
    return Cells(features, shares)


def top(similar: np.ndarray, templates: np.ndarray, objects: np.ndarray, nearest: int = NEAREST) -> str:
    """Top-1 and top-3 in percent, from similarities (objects, templates) and the classes of both."""
    numbers = np.unique(templates)
    of_class = [-np.sort(-similar[:, templates == number], axis=1)[:, :nearest].mean(1) for number in numbers]
    order = numbers[np.argsort(-np.stack(of_class, 1), axis=1, kind="stable")]
    right = order[:, :3] == objects[:, None]
    return f"{100 * right[:, 0].mean():5.1f} {100 * right.any(1).mean():5.1f}"


def described(known: np.ndarray, seen: np.ndarray, templates: np.ndarray, objects: np.ndarray) -> Iterator[str]:
    """The tables for the description that is the default. Keys and classes of templates and of objects."""
    numbers = np.unique(templates)
    similar = similarity(seen, known)
    yield f"\n{'templates':>10}{'top-1, top-3':>14}"
    for most in (1, 3, 5, 10, 20, 40):
        chosen = np.concatenate(
            [np.flatnonzero(templates == number)[k_medoids(known[templates == number], most)] for number in numbers]
        )
        yield f"{most:>10}{top(similar[:, chosen], templates[chosen], objects):>14}"
    yield f"\n{'nearest':>10}{'top-1, top-3':>14}"
    for nearest in (1, 3, 5, 10):
        yield f"{nearest:>10}{top(similar, templates, objects, nearest):>14}"
    yield f"\n{'unknown':>10}{'known accepted':>16}{'unknown rejected':>18}{'known named right':>19}"
    of_class = {int(number): known[templates == number] for number in numbers}
    without = {left_out: {n: keys for n, keys in of_class.items() if n != left_out} for left_out in of_class}
    threshold = learned_threshold(of_class)
    thresholds = {left_out: learned_threshold(others) for left_out, others in without.items()}
    for factor in (0.0, 0.25, 0.5, 0.75, 1.0, 1.25):
        named, _ = match_templates(seen, of_class, factor * threshold if factor else -np.inf)
        rejected = []
        for left_out, others in without.items():  # the objects of the class that is left out are unknown
            least = factor * thresholds[left_out] if factor else -np.inf
            rejected.extend(match_templates(seen[objects == left_out], others, least)[0] == 0)
        shares = (named > 0).mean(), np.mean(rejected), (named == objects).mean()
        yield f"{factor:>10g}" + "".join(f"{100 * share:>{width}.1f}" for share, width in zip(shares, (16, 18, 19)))


def tables(arguments: argparse.Namespace, templates: Objects, objects: Objects) -> Iterator[str]:
    """The lines of the tables."""
    stage = BuildTemplates()
    count = len(objects.classes)
    yield f"{arguments.backbone}, {len(templates.classes)} templates, {count} objects; top-1 and top-3, percent"
    yield f"\n{'stride':>8}{'comparison':>16}{'suppressed':>14}{'kept':>14}"
    usual: Any = None
    for stride in arguments.strides:
        rows: dict[str, list[str]] = {"mean": [], "gem": [], "patches": []}
        for suppress in (True, False):
            description = Description(
                arguments.backbone, arguments.weights, stride, "mean", stage.crop_size, stage.margin, suppress
            )
            describer = Describer(description, torch.device("cpu"), "32")
            known, seen = cells_of(describer, templates), cells_of(describer, objects)
            for pooling, row in rows.items():
                similar = similarity(seen.keys(pooling), known.keys(pooling))
                row.append(top(similar, templates.classes, objects.classes))
            if suppress == stage.suppress and stride == stage.stride:
                usual = known.keys(stage.pooling), seen.keys(stage.pooling)
        for pooling, row in rows.items():
            yield f"{stride:>8}{pooling:>16}" + "".join(f"{cell:>14}" for cell in row)
    if usual is not None:
        yield from described(*usual, templates.classes, objects.classes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--dataset", default="hope")
    parser.add_argument("--artifacts", default="artifacts")
    parser.add_argument("--backbone", default=BuildTemplates().backbone)
    parser.add_argument("--weights", default=BuildTemplates().weights)
    for name in ("--templates-of", "--objects-of"):
        parser.add_argument(name, type=lambda text: text.split(","), help="training frames, by how their names begin")
    parser.add_argument("--strides", type=lambda text: [int(part) for part in text.split(",")], default=[8, 16, 32])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    split = SplitInstances(
        dataset=arguments.dataset, data_root=arguments.data_root, artifacts=arguments.artifacts, split=TRAIN,
        source="depth",
    )  # fmt: skip
    stage = split.required["dataset"] if arguments.objects_of else split
    if not luigi.build([stage], local_scheduler=True, workers=1, no_lock=True):
        parser.exit(1, f"{stage.label} did not end, see above\n")
    if arguments.objects_of:
        found = tuple(training_objects(stage, names) for names in (arguments.templates_of, arguments.objects_of))
    else:
        found = templates_and_objects(split)
    for line in tables(arguments, *found):
        print(line, flush=True)


if __name__ == "__main__":
    main()
