"""What the classifier says about images that it has not learned from: a seed can be no better than the classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.sample import Sample
from data.store.sharded import ShardedStore
from data.store.tiles import ArraySpec
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.numeric import whole
from tasks.runtime.resizing import ResizesImages, resized
from tasks.train_classifier import TrainClassifier


class PredictTags(ResizesImages, SplitStage):
    """Class logits of each image. `tag_scores` compares them with the tags."""

    in_workers = False
    autocasts = True

    batch_size = whole(8, "images per batch", at_least=1, significant=False)

    @property
    def network_scales(self):
        return (1.0,)

    def requires(self):
        return {"dataset": self.upstream(IndexDataset), "classifier": self.upstream(TrainClassifier)}

    def arrays(self, samples):
        name = "logit of each class 1..K"
        return {"logit": ArraySpec(("tag",), (self.num_classes,), "float32", float("nan"), {"long_name": name})}

    def network_inputs(self):
        return {"classifier": self.required["classifier"].artifact}

    def network(self, classifier):
        from models.input_size import limited
        from tasks.runtime.network_map import BatchNetwork
        from tasks.runtime.networks import compiled
        from tasks.runtime.tensors import colours
        from tasks.runtime.training_loop import choose_device

        device = choose_device(self.device)
        model = classifier.load(device)
        compiled(model.network, self.compile)

        def logits_of(images, samples):
            images = model.normalise(colours(images))
            images = resized(images, self.seen_size((images.shape[-2], images.shape[-1])))
            return {"logit": model.network(limited(images)).scores.float()}

        return BatchNetwork(device, logits_of, lambda found, _: ({"logit": row} for row in found["logit"].numpy()))


def tag_scores(store: ShardedStore, samples: Sequence[Sample], num_classes: int) -> dict[str, float] | None:
    """`models.tag_metrics.tag_metrics` of the images of an artifact of `PredictTags`, in percent.

    Returns
    -------
    dict with keys map, f1_micro, f1_macro, images
        None if no image has a tag.
    """
    from models.tag_metrics import tag_metrics

    if not any(sample.tags for sample in samples):
        return None
    tags = np.zeros((len(samples), num_classes), bool)
    for row, sample in zip(tags, samples, strict=True):
        row[[tag - 1 for tag in sample.tags]] = True
    logits = np.stack([store.read_image("logit", index) for index in range(len(samples))])
    scores = {name: round(100 * value, 2) for name, value in tag_metrics(logits, tags).items()}
    return {**scores, "images": len(samples)}
