"""The entry points: ``luigi --module pipeline STAGE`` and ``depthseed COMMAND``, which is ``python -m pipeline``."""

import sys
from pkgutil import resolve_name

from pipeline.surroundings import prepare

prepare()  # before luigi reads its settings

STAGES = (
    "tasks.index_dataset:IndexDataset",
    "tasks.estimate_depth:EstimateDepth",
    "tasks.load_depth:LoadDepth",
    "tasks.train_classifier:TrainClassifier",
    "tasks.predict_tags:PredictTags",
    "tasks.extract_cams:ExtractCams",
    "tasks.extract_keys:ExtractKeys",
    "tasks.discover_superpixels:DiscoverSuperpixels",
    "tasks.generate_seeds:GenerateSeeds",
    "tasks.load_saliency:LoadSaliency",
    "tasks.refine_saliency:RefineSaliency",
    "tasks.train_segmenter:TrainSegmenter",
    "tasks.train_by_masking:TrainByMasking",
    "tasks.coarsen_masks:CoarsenMasks",
    "tasks.train_coarse:TrainCoarse",
    "tasks.predict_masks:PredictMasks",
    "tasks.split_instances:SplitInstances",
    "tasks.baseline_masks:BaselineMasks",
    "tasks.build_templates:BuildTemplates",
    "tasks.match_objects:MatchObjects",
    "tasks.pool_keys:PoolKeys",
    "tasks.learn_clusters:LearnClusters",
    "tasks.assign_clusters:AssignClusters",
    "tasks.evaluate_masks:EvaluateMasks",
    "tasks.evaluate_instances:EvaluateInstances",
    "pipeline.write_report:WriteReport",
    "pipeline.run_all:RunAll",
    "pipeline.ablation:Ablation",
    "pipeline.compare:Compare",
    "pipeline.evaluate_superpixels:EvaluateSuperpixels",
    "tasks.export_labels:ExportLabels",
    "tasks.export_instances:ExportInstances",
    "tasks.export_model:ExportModel",
    "pipeline.export_rerun:ExportRerun",
    "tasks.predict_folder:PredictFolder",
    "tasks.fetch_dataset:FetchDataset",
    "tasks.import_recording:ImportRecording",
)
"""Import paths of the tasks that can be run by name, in the order of the DAG. A new stage needs one line here."""

__all__ = [path.partition(":")[2] for path in STAGES]

globals().update({path.partition(":")[2]: resolve_name(path) for path in STAGES})

resolve_name("pipeline.profile_line")  # it listens to luigi
resolve_name("pipeline.command_line:check_input")(sys.argv[1:], __all__)  # only now are all parameters known
