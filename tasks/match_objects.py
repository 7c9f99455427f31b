"""Objects named by templates: a class map and instances, without any training."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from data.sample import TRAIN, UNLABELLED
from tasks.baseline_masks import BaselineMasks
from tasks.build_templates import BuildTemplates, known_classes
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.instance_arrays import instance_arrays, read_stored, stored_instances
from tasks.runtime.layout import label_map
from tasks.runtime.numeric import number
from tasks.runtime.parameters import one_of
from tasks.runtime.quality import class_pixels, classes_without
from tasks.runtime.stage import Stages
from tasks.split_instances import NO_DEPTH, SplitInstances

PROPOSALS = {"depth": SplitInstances, "files": BaselineMasks}
"""proposals -> stage of the instances without class."""


class MatchObjects(SplitStage):
    """Names the instances of each image by the nearest templates (`models.templates`). The others are left out.

    On the train split, only the tags of the image are possible. A training image without depth is unlabelled if it has
    tags, since its objects are somewhere; nothing is found in the others without depth.
    """

    version = 2
    bf16_version = 1
    autocasts = True
    in_workers = False

    proposals = one_of(
        PROPOSALS, "depth", "instances that are named: what stands on the support plane, or BaselineMasks"
    )
    unknown = number(
        0.75,
        "objects are unknown if they differ from the other classes less than the templates do, times this; 0 = never",
        at_least=0,
        at_most=10,
    )
    tags = one_of(("train", "always", "never"), "train", "splits on which only the tags of the image are possible")

    @property
    def uses_tags(self) -> bool:
        """True if the tags restrict the classes."""
        return self.tags == "always" or (self.tags == "train" and self.split == TRAIN)

    @functools.cached_property
    def templates(self) -> dict[str, BuildTemplates]:
        """Class name -> the stage of its templates."""
        names = known_classes(self.upstream(IndexDataset))
        return {name: self.upstream(BuildTemplates, class_name=name) for name in names}

    def requires(self):
        stage = PROPOSALS[self.proposals]
        parameters = {"source": "depth"} if stage is SplitInstances else {}
        proposals = self.upstream(stage, split=self.split, **parameters)
        stages: Stages = {"dataset": self.upstream(IndexDataset), "proposals": proposals}
        if "depth" in proposals.required:
            stages["depth"] = proposals.required["depth"]
        return {**stages, **{f"templates of {name}": stage for name, stage in self.templates.items()}}

    def arrays(self, samples):
        labels = label_map(samples, "0 background, 1.. class, 65535 unlabelled or padding")
        return {"label": labels, **instance_arrays(samples)}

    def network_inputs(self):
        from models.templates import learned_threshold

        number_of = {name: number for number, name in enumerate(self.inputs["dataset"].class_names)}
        templates = {number_of[name]: stage.read() for name, stage in self.templates.items()}
        return {
            "description": next(iter(self.templates.values())).description_of_objects(),
            "templates": templates,
            "threshold": self.unknown * learned_threshold(templates) if self.unknown else -np.inf,
            "proposals": self.inputs["proposals"],
        }

    def network(self, description, templates, threshold, proposals):
        import torch

        from models.templates import match_templates
        from tasks.runtime.network_map import BatchNetwork
        from tasks.runtime.object_keys import Describer
        from tasks.runtime.tensors import colours, image_bytes
        from tasks.runtime.training_loop import choose_device

        describe = Describer(description, choose_device(self.device), self.resolved_precision)
        place = {image_id: index for index, image_id in enumerate(proposals.image_ids)}

        def read(sample):
            instances = proposals.image(place[sample.image_id], sample.size).read("instance")
            both = [image_bytes(sample).int(), torch.from_numpy(instances.astype(np.int32))[None]]
            return torch.cat(both)

        def keys_of(values, samples):
            ((*image, instances),) = values  # a batch is one image: all its objects are a batch of crops
            return {"key": torch.from_numpy(describe(colours(torch.stack(image)), instances.numpy()))}

        def results(found, samples):
            (sample,) = samples
            allowed = sample.tags if self.uses_tags else None
            return [match_templates(found["key"].numpy(), templates, threshold, allowed)]

        return BatchNetwork(torch.device("cpu"), keys_of, results, read, autocasts=False)

    def compute(self, sample, inputs):
        from models.instance_table import instance_table

        instances, table = read_stored(inputs["proposals"])
        classes, scores = inputs.inferred
        kept = np.flatnonzero(classes > 0)
        renumbered = np.zeros(len(classes) + 1, np.int64)
        renumbered[kept + 1] = np.arange(1, len(kept) + 1)
        named = np.concatenate([[0], classes])[instances]
        if "depth" in inputs and self.split == TRAIN and sample.tags and not inputs["depth"].read("valid").any():
            named = np.full_like(named, UNLABELLED)
        found = instance_table(renumbered[instances], classes[kept], scores[kept] * table.scores[kept])
        stored = stored_instances(sample, renumbered[instances], found, PROPOSALS[self.proposals].__name__)
        return {"label": named.astype(np.uint16), **stored}

    def count(self, sample, image, num_classes):
        return class_pixels(image.read("label"), num_classes)

    def findings(self):
        depth: Any = self.required.get("depth")
        without = len(depth.images_without(self.samples, NO_DEPTH)) if depth else 0
        found = [f"{without} of {len(self.samples)} images have no depth, so no object is named there"]
        return [*(found if without else []), *classes_without(self, self.counts(), "object")]
