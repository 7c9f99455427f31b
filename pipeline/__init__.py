"""The doors: ``luigi --module pipeline STAGE`` and ``python -m pipeline COMMAND``."""

from pipeline.surroundings import prepare

prepare()  # before luigi reads its settings

from pipeline.ablation import Ablation  # noqa: E402
from pipeline.compare import Compare  # noqa: E402
from pipeline.evaluate_superpixels import EvaluateSuperpixels  # noqa: E402
from pipeline.run_all import RunAll  # noqa: E402
from pipeline.write_report import WriteReport  # noqa: E402
from tasks.coarsen_masks import CoarsenMasks  # noqa: E402
from tasks.discover_superpixels import DiscoverSuperpixels  # noqa: E402
from tasks.estimate_depth import EstimateDepth  # noqa: E402
from tasks.evaluate_masks import EvaluateMasks  # noqa: E402
from tasks.export_labels import ExportLabels  # noqa: E402
from tasks.export_model import ExportModel  # noqa: E402
from tasks.extract_cams import ExtractCams  # noqa: E402
from tasks.extract_keys import ExtractKeys  # noqa: E402
from tasks.fetch_dataset import FetchDataset  # noqa: E402
from tasks.generate_seeds import GenerateSeeds  # noqa: E402
from tasks.index_dataset import IndexDataset  # noqa: E402
from tasks.load_depth import LoadDepth  # noqa: E402
from tasks.load_saliency import LoadSaliency  # noqa: E402
from tasks.predict_folder import PredictFolder  # noqa: E402
from tasks.predict_masks import PredictMasks  # noqa: E402
from tasks.refine_saliency import RefineSaliency  # noqa: E402
from tasks.train_by_masking import TrainByMasking  # noqa: E402
from tasks.train_classifier import TrainClassifier  # noqa: E402
from tasks.train_coarse import TrainCoarse  # noqa: E402
from tasks.train_segmenter import TrainSegmenter  # noqa: E402

__all__ = [
    "IndexDataset",
    "EstimateDepth",
    "LoadDepth",
    "TrainClassifier",
    "ExtractCams",
    "ExtractKeys",
    "DiscoverSuperpixels",
    "GenerateSeeds",
    "LoadSaliency",
    "RefineSaliency",
    "TrainSegmenter",
    "TrainByMasking",
    "CoarsenMasks",
    "TrainCoarse",
    "PredictMasks",
    "EvaluateMasks",
    "WriteReport",
    "RunAll",
    "Ablation",
    "Compare",
    "EvaluateSuperpixels",
    "ExportLabels",
    "ExportModel",
    "PredictFolder",
    "FetchDataset",
]
