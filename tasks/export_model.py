"""The trained segmentation network as an ONNX file, which can be used without this project."""

from __future__ import annotations

from data.errors import SettingError
from data.store.artifact import Artifact, write_bytes, write_json
from tasks.index_dataset import IndexDataset
from tasks.methods import trainer
from tasks.runtime.layout import padded_size
from tasks.runtime.numeric import number, whole
from tasks.runtime.stage import StageTask

MODEL, LABELS = "model.onnx", "labels.json"


class ExportModel(StageTask):
    """Writes ``model.onnx`` and ``labels.json``, after a comparison of the ONNX file with torch on a random image.

    The network takes RGB images (1, 3, H, W) float32 in [0, 1] and gives class probabilities (1, C, H, W). The
    normalisation is a part of the network. Channel c of the output is class c of ``labels.json``.
    """

    artifact_type = Artifact

    height = whole(0, "height of the input in pixels, 0 = largest height of an image", at_least=0, at_most=16384)
    width = whole(0, "width of the input in pixels, 0 = largest width of an image", at_least=0, at_most=16384)
    tolerance = number(
        1e-3, "maximum difference to the probabilities of the network in torch", at_least=0, significant=False
    )

    def requires(self):
        return {"dataset": self.upstream(IndexDataset), "model": self.upstream(trainer(self.method))}

    def work(self) -> int:
        import torch

        from tasks.runtime.onnx_network import ImageNetwork, largest_difference, onnx_bytes

        model = self.inputs["model"].load(torch.device("cpu"))
        largest = padded_size(self.inputs["dataset"].samples)
        size = (self.height or largest[0], self.width or largest[1])
        wrapped = ImageNetwork(model.network.to(memory_format=torch.contiguous_format), model.normalise).eval()
        image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
        try:
            content = onnx_bytes(wrapped, image)
            difference = largest_difference(wrapped, content, image)
        except ImportError as error:
            raise SettingError(
                f"ONNX files need onnx and onnxruntime: pip install 'depthseed[onnx]' ({error})"
            ) from error
        if difference > self.tolerance:
            raise SettingError(
                f"the probabilities of the ONNX file differ from those of the network by {difference:.2g}; increase "
                f"--ExportModel-tolerance (now {self.tolerance:g}) if this is acceptable"
            )
        write_bytes(self.artifact.path / MODEL, content)
        write_json(
            self.artifact.path / LABELS,
            {"classes": list(model.class_names), "height": size[0], "width": size[1], "difference": difference},
        )
        return 1
