"""Stage 2a: depth of the images from a monocular depth network, for data sets without a depth sensor."""

from __future__ import annotations

from pathlib import Path

import luigi

from data.errors import WeightsError
from data.files.fingerprint import NAMED_FILES
from data.files.working_size import sample_image
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.layout import image_map
from tasks.runtime.numeric import number, require_order, whole
from tasks.runtime.parameters import one_of, only


class EstimateDepth(SplitStage):
    """Depth maps in metres by a network of the transformers library. Runs only with ``--LoadDepth-source estimate``."""

    in_workers = False
    autocasts = True

    model = luigi.Parameter(
        default="depth-anything/Depth-Anything-V2-Small-hf",
        description="depth network: its name on the Hugging Face hub, or its folder",
    )
    gives = one_of(("inverse", "metres"), "inverse", "output of the network: relative inverse depth, or metres")
    near = only(
        number(0.5, "depth in metres of the 99th percentile of inverse depth", above=0),
        gives="inverse",
    )
    far = only(
        number(2.0, "depth in metres of the 1st percentile of inverse depth", above=0),
        gives="inverse",
    )
    batch_size = whole(4, "images per batch", at_least=1, significant=False)

    def check(self):
        require_order(self, "near", "far", is_strict=True)

    def requires(self):
        return {"dataset": self.upstream(IndexDataset)}

    def content_identity(self):
        folder = Path(self.model)
        return {path.name: NAMED_FILES(path) for path in sorted(folder.glob("*")) if path.is_file()}

    def arrays(self, samples):
        return {"depth": image_map(samples, "float32", float("nan"), f"depth estimated by {self.model}", "m")}

    def network_inputs(self):
        return {}

    def network(self):
        import torch

        from models.depth_estimation import depth_of_disparity
        from tasks.runtime.network_map import BatchNetwork
        from tasks.runtime.networks import compiled
        from tasks.runtime.training_loop import choose_device

        device = choose_device(self.device)
        estimator = compiled(self.estimator().to(device).eval(), self.compile)

        def depth_of(inputs, samples):
            estimates = estimator(inputs, samples[0].size)
            if self.gives == "inverse":
                estimates = torch.stack([depth_of_disparity(values, self.near, self.far) for values in estimates])
            return {"depth": estimates}

        def results(found, samples):
            return ({"depth": values} for values in found["depth"].numpy())

        def read(sample):
            return estimator.prepared(sample_image(sample).copy())  # the processor needs a writable array

        return BatchNetwork(device, depth_of, results, read)

    def estimator(self):
        """The network with its weights, a `models.depth_estimation.DepthEstimator`.

        Raises
        ------
        WeightsError
            If the package transformers or the weights are not available, or the weights are damaged or incomplete.
        """
        try:
            from transformers import AutoImageProcessor, AutoModelForDepthEstimation
        except ImportError as error:
            raise WeightsError(
                "depth estimation needs the package transformers: pip install 'depthseed[estimate]'"
            ) from error
        from models.depth_estimation import DepthEstimator

        try:
            # A safetensors file holds no code, other formats are pickles. Code beside the weights is never run.
            network, notes = AutoModelForDepthEstimation.from_pretrained(
                self.model, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
            processor = AutoImageProcessor.from_pretrained(self.model, trust_remote_code=False)
        except Exception as error:  # transformers, the hub and safetensors have errors of many kinds
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise WeightsError(
                f"depth network '{self.model}' is not available ({reason}); download its folder on "
                "a machine that reaches the hub, then name it: --EstimateDepth-model /path/to/folder"
            ) from error
        odd = sorted(notes["missing_keys"]) or [
            name for name, value in network.state_dict().items() if not value.isfinite().all()
        ]
        if odd:  # transformers would go on with random values
            raise WeightsError(
                f"depth network '{self.model}': {odd[0]} is missing or not finite; download the folder again"
            )
        return DepthEstimator(network, processor)
