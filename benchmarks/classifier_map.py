"""Mean average precision of a trained classifier on a split: how well it knows which classes an image shows.

    python benchmarks/classifier_map.py --model ARTIFACT --dataset folder --data-root DIR [--merge FILE] [--split train]

ARTIFACT is the folder of a TrainClassifier. The classifier sees each image as it is and mirrored; classes without an
image in the split do not count. MERGE is that of ``--IndexDataset-merge``. Prints a line per class and the mean.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from data.sample import EVALUATION, TRAIN
from models.metrics import average_precision
from tasks.index_dataset import IndexDataset
from tasks.runtime.tensors import image_tensor, tags_of
from tasks.runtime.trained_model import TrainedArtifact


def scores_of(model, samples) -> np.ndarray:
    """Class logits of all images, (N, K)."""
    found = []
    with torch.no_grad():
        for sample in samples:
            image = model.normalise(image_tensor(sample))
            found.append(model.network(torch.stack([image, image.flip(-1)])).scores.mean(0).numpy())
    return np.stack(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--merge", default="")
    parser.add_argument("--split", choices=(TRAIN, EVALUATION), default=EVALUATION)
    arguments = parser.parse_args()
    index = IndexDataset(dataset=arguments.dataset, data_root=arguments.data_root, merge=arguments.merge).scanned
    samples = list(index.split(arguments.split))
    scores = scores_of(TrainedArtifact(arguments.model).load(torch.device("cpu")), samples)
    present = tags_of(samples, index.num_classes).numpy() > 0
    precisions = np.array([average_precision(*pair) for pair in zip(scores.T, present.T, strict=True)])
    for name, value, count in zip(index.class_names[1:], precisions, present.sum(0), strict=True):
        print(f"{name:24}{'–' if np.isnan(value) else f'{100 * value:.1f}':>8}{count:>6} images")
    print(f"mAP {100 * np.nanmean(precisions):.1f} over {np.isfinite(precisions).sum()} classes, {len(samples)} images")


if __name__ == "__main__":
    main()
