"""How objects are best described for ``--method match``: top-1 and top-3 of naming objects whose true mask is given.

    python benchmarks/matching.py --data-root DIR [--dataset hope] [--artifacts DIR] [--backbone NAME --weights FILE]

Templates are the objects of the training frames with one tag, cut out by the stages LoadDepth and SplitInstances. They
name the true instances of the evaluation frames. The tables show: stride of the network, pooling, and whether the
surroundings are suppressed; patch-to-patch comparison beside one key an object; the number of templates of a class; the
number of nearest templates that are averaged.

Patch-to-patch: each cell of the object takes the most similar cell of a template, and the similarity of the two is the
mean over the cells of the object, weighted by their share in its mask.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

import luigi
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data.files.images import read_image
from data.files.instance_truth import read_instances
from data.sample import EVALUATION, TRAIN
from models.object_crops import crop_object, pooled_keys
from models.templates import k_medoids
from tasks.build_templates import BuildTemplates, onboarding_frames
from tasks.runtime.luigi_seam import default_value
from tasks.runtime.object_keys import AT_ONCE, Describer, Description
from tasks.runtime.tensors import rgb_tensor
from tasks.split_instances import SplitInstances

NEAREST = 3


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
        return pooled_keys(self.features, self.shares, pooling).numpy()


def templates_and_objects(split: SplitInstances) -> tuple[Objects, Objects]:
    """The largest instance on the plane in each onboarding frame, and all true instances of the evaluation frames."""
    index = split.required["dataset"]
    dataset, store = index.read_with_truth(), split.open()
    place = {sample.image_id: position for position, sample in enumerate(dataset.split(TRAIN))}
    rows = []
    for number, name in enumerate(dataset.class_names):
        for sample in onboarding_frames(dataset).get(name, ()):
            instances = store.read_image("instance", place[sample.image_id], sample.size)
            sizes = np.bincount(instances.ravel())
            sizes[0] = 0
            if sizes.any():
                rows.append((read_image(sample.image), instances == sizes.argmax(), number))
    templates = Objects(*map(list, zip(*rows)))
    rows = [
        (read_image(sample.image), item.mask, item.class_number)
        for sample in dataset.split(EVALUATION)
        for item in read_instances(sample, dataset.num_classes) or ()
        if not item.ignored
    ]
    objects = Objects(*map(list, zip(*rows)))
    return tuple(Objects(images, masks, np.array(classes)) for images, masks, classes in (templates, objects))


def cells_of(describer: Describer, objects: Objects) -> Cells:
    described = describer.description
    features, shares = [], []
    for first in range(0, len(objects.masks), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        crops, weights = map(torch.stack, zip(*(
            crop_object(rgb_tensor(image), mask, described.crop_size, described.margin, described.suppress,
                        describer.normalise.mean)
            for image, mask in zip(objects.images[part], objects.masks[part])
        )))  # fmt: skip
        with torch.inference_mode():
            features.append(describer.network(describer.normalise(crops)))
        shares.append(weights)
    return Cells(torch.cat(features), torch.cat(shares))


def patch_to_patch(objects: Cells, templates: Cells) -> np.ndarray:
    """Similarities (objects, templates), see the head of this file."""
    cells = [F.normalize(found.features.flatten(1, 2), dim=2) for found in (objects, templates)]
    shares = [
        F.adaptive_avg_pool2d(found.shares[:, None], tuple(found.features.shape[1:3])).flatten(1)
        for found in (objects, templates)
    ]
    similar = np.zeros((len(cells[0]), len(cells[1])))
    for row, (own, share) in enumerate(zip(cells[0], shares[0])):
        near = torch.einsum("pd,tqd->tpq", own, cells[1])
        near = near.masked_fill(shares[1][:, None] < 0.5, -1.0).amax(2)  # cells of a template that are mostly object
        similar[row] = (near @ share / share.sum().clamp(min=1e-6)).numpy()
    return similar


def top(similar: np.ndarray, templates: np.ndarray, objects: np.ndarray, nearest: int = NEAREST) -> str:
    """Top-1 and top-3 in percent, from similarities (objects, templates) and the classes of both."""
    numbers = np.unique(templates)
    of_class = [-np.sort(-similar[:, templates == number], axis=1)[:, :nearest].mean(1) for number in numbers]
    order = numbers[np.argsort(-np.stack(of_class, 1), axis=1, kind="stable")]
    right = order[:, :3] == objects[:, None]
    return f"{100 * right[:, 0].mean():5.1f} {100 * right.any(1).mean():5.1f}"


def tables(arguments: argparse.Namespace, templates: Objects, objects: Objects) -> Iterator[str]:
    """The lines of the tables."""
    count = len(objects.classes)
    yield f"{arguments.backbone}, {len(templates.classes)} templates, {count} objects; top-1 and top-3, percent"
    yield f"\n{'stride':>8}{'comparison':>16}{'suppressed':>14}{'kept':>14}"
    usual: Any = None
    for stride in arguments.strides:
        rows: dict[str, list[str]] = {"mean": [], "gem": [], "patch-to-patch": []}
        for suppress in (True, False):
            description = Description(
                arguments.backbone, arguments.weights, stride, "mean", arguments.crop_size, 0.1, suppress
            )
            describer = Describer(description, torch.device("cpu"))
            known, seen = cells_of(describer, templates), cells_of(describer, objects)
            for name, row in rows.items():
                if name == "patch-to-patch":
                    similar = patch_to_patch(seen, known)
                else:
                    similar = seen.keys(name) @ known.keys(name).T
                row.append(top(similar, templates.classes, objects.classes))
            if suppress and stride == default_value(BuildTemplates.stride):
                usual = known.keys("mean"), seen.keys("mean")
        for name, row in rows.items():
            yield f"{stride:>8}{name:>16}" + "".join(f"{cell:>14}" for cell in row)
    if usual is None:
        return
    known, seen = usual
    yield f"\n{'templates':>10}{'top-1, top-3':>14}"
    for most in (1, 3, 5, 10, 20, 40):
        chosen = np.concatenate([
            np.flatnonzero(templates.classes == number)[k_medoids(known[templates.classes == number], most)]
            for number in np.unique(templates.classes)
        ])  # fmt: skip
        yield f"{most:>10}{top(seen @ known[chosen].T, templates.classes[chosen], objects.classes):>14}"
    yield f"\n{'nearest':>10}{'top-1, top-3':>14}"
    for nearest in (1, 3, 5, 10):
        yield f"{nearest:>10}{top(seen @ known.T, templates.classes, objects.classes, nearest):>14}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--dataset", default="hope")
    parser.add_argument("--artifacts", default="artifacts")
    parser.add_argument("--backbone", default=default_value(BuildTemplates.backbone))
    parser.add_argument("--weights", default=default_value(BuildTemplates.weights))
    parser.add_argument("--crop-size", type=int, default=default_value(BuildTemplates.crop_size))
    parser.add_argument("--strides", type=lambda text: [int(part) for part in text.split(",")], default=[8, 16, 32])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    split = SplitInstances(
        dataset=arguments.dataset, data_root=arguments.data_root, artifacts=arguments.artifacts, split=TRAIN,
        source="depth",
    )  # fmt: skip
    if not luigi.build([split], local_scheduler=True, workers=1, no_lock=True):
        parser.exit(1, "SplitInstances did not end, see above\n")
    for line in tables(arguments, *templates_and_objects(split)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
