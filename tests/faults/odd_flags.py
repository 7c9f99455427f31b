"""Odd command lines: each must end with an exit code other than 0 and one line that names what is odd.

``{folder}`` in an argument is a folder that `prepare` has filled.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from PIL import Image


class OddCommand(NamedTuple):
    """A command line with a mistake.

    Attributes
    ----------
    arguments : tuple of str
        What follows ``luigi --module pipeline``, without the flags of the data set.
    words : tuple of str
        All of them are in one line of what the command writes.
    with_data : bool
        Add the flags of a small data set; those in `arguments` come later and win.
    """

    arguments: tuple[str, ...]
    words: tuple[str, ...]
    with_data: bool = True

    def filled(self, folder: Path) -> tuple[str, list[str], list[str]]:
        """The task, its arguments and the words, with the path of the folder in them."""
        texts = [[text.replace("{folder}", str(folder)) for text in part] for part in (self.arguments, self.words)]
        return (texts[0] or [""])[0], texts[0][1:], texts[1]


def odd(command: str, *words: str, with_data: bool = True) -> OddCommand:
    """An `OddCommand` from a text: arguments are separated by spaces, and '' is an empty one."""
    return OddCommand(tuple("" if part == "''" else part for part in command.split()), words, with_data)


def prepare(folder: Path) -> None:
    """Fill a folder with the odd things that the commands name."""
    folder.mkdir(parents=True)
    (folder / "file").write_text("text")
    (folder / "bytes").write_bytes(bytes(range(256)))
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "images").mkdir()
    Image.new("RGB", (32, 24)).save(folder / "images/a.png")
    (folder / "grid.toml").write_text('[axis]\nvalue = "no table"\n')


TASKS = (
    odd("RunAl", "RunAl", "RunAll"),
    odd("runall", "runall", "RunAll"),
    odd("TrainSegmentor", "TrainSegmentor", "TrainSegmenter"),
    odd("Nonsense", "Nonsense"),
    odd("LoadDepth extra", "extra"),
    odd("--seed 1", "task", with_data=False),
    odd("", "task", with_data=False),
)

FLAGS = (
    odd("LoadDepth --nonsense 3", "--nonsense"),
    odd("LoadDepth --seed", "--seed"),
    odd("LoadDepth --seed --device cpu", "--seed"),
    odd("RunAll --alpha 0.6", "--alpha"),
    odd("RunAll --TrainClassifer-epochs 3", "--TrainClassifer-epochs"),
    odd("RunAll --TrainClassifier-epoks 3", "--TrainClassifier-epoks"),
    odd("RunAll --TrainClassifier-seed 3", "--TrainClassifier-seed", "--seed"),
    odd("RunAll --LoadDepth-data-root /x", "--LoadDepth-data-root", "--data-root"),
    odd("LoadDepth --dataset ''", "--dataset", "empty"),
    odd("LoadDepth --seed=", "--seed", "empty"),
    odd("RunAll --TrainClassifier-epochs ''", "--TrainClassifier-epochs", "empty"),
    odd("LoadDepth --data-root ''", "--data-root", "empty"),
    odd("LoadDepth --data- x", "--data-"),
    odd("LoadDepth -x 3", "-x"),
    odd("LoadDepth --workers x", "--workers"),
    odd("LoadDepth --log-level NONSENSE", "NONSENSE"),
    odd("LoadDepth --logging-conf-file {folder}/nowhere", "nowhere"),
)

VALUES = (
    odd("LoadDepth --seed x", "--seed", "x"),
    odd("LoadDepth --seed -1", "--seed", "-1"),
    odd("LoadDepth --seed 1.5", "--seed", "1.5"),
    odd("LoadDepth --seed 1e99", "--seed", "1e99"),
    odd("LoadDepth --seed 99999999999999999999", "--seed"),
    odd("LoadDepth --processes -1", "--processes", "-1"),
    odd("LoadDepth --processes many", "--processes", "many"),
    odd("LoadDepth --dataset nonsense", "nonsense"),
    odd("LoadDepth --dataset ../bop", "../bop"),
    odd("LoadDepth --profile nonsense", "--profile", "nonsense"),
    odd("LoadDepth --method nonsense", "--method", "nonsense"),
    odd("LoadDepth --data-root {folder}/nowhere", "nowhere"),
    odd("LoadDepth --data-root {folder}/file", "file"),
    odd("LoadDepth --data-root {folder}/empty", "empty"),
    odd("LoadDepth --artifacts {folder}/file", "{folder}/file"),
    odd("LoadDepth --artifacts /proc/nowhere", "/proc/nowhere"),
    odd("LoadDepth --source nonsense", "--source", "nonsense"),
    odd("RunAll --LoadDepth-source nonsense", "--LoadDepth-source", "nonsense"),
    odd("RunAll --TrainClassifier-epochs -1", "--TrainClassifier-epochs", "-1"),
    odd("RunAll --TrainClassifier-epochs x", "--TrainClassifier-epochs", "x"),
    odd("RunAll --TrainClassifier-batch-size 0", "--TrainClassifier-batch-size", "0"),
    odd("RunAll --TrainClassifier-learning-rate nan", "--TrainClassifier-learning-rate", "nan"),
    odd("RunAll --TrainClassifier-learning-rate inf", "--TrainClassifier-learning-rate", "inf"),
    odd("RunAll --TrainClassifier-learning-rate 0", "--TrainClassifier-learning-rate", "0"),
    odd("RunAll --TrainClassifier-crop-size -5", "--TrainClassifier-crop-size", "-5"),
    odd("RunAll --ExtractCams-scales a", "--ExtractCams-scales", "a"),
    odd("RunAll --ExtractCams-scales 0", "--ExtractCams-scales", "0"),
    odd("RunAll --ExtractCams-scales 1,,2", "--ExtractCams-scales", "1,,2"),
    odd("RunAll --ExtractCams-scales nan", "--ExtractCams-scales", "nan"),
    odd("RunAll --ExtractCams-flip maybe", "--ExtractCams-flip", "maybe"),
    odd("RunAll --GenerateSeeds-alpha 2", "--GenerateSeeds-alpha", "2"),
    odd("RunAll --DiscoverSuperpixels-cells 0", "--DiscoverSuperpixels-cells", "0"),
    odd("RunAll --TrainSegmenter-rates 0", "--TrainSegmenter-rates", "0"),
    odd("RunAll --PredictMasks-crf nonsense", "--PredictMasks-crf", "nonsense"),
    odd("RunAll --EvaluateMasks-results nonsense", "--EvaluateMasks-results", "nonsense"),
    odd("LoadDepth --IndexDataset-train-folder nowhere", "nowhere"),
    odd("LoadDepth --dask foo://x", "--dask", "foo://x"),
    odd("LoadDepth --dask nonsense", "--dask", "nonsense"),
    odd("ExtractKeys --device foo", "--device", "foo"),
    odd("ExtractKeys --device cuda:99", "--device", "cuda:99"),
    odd("ExtractKeys --device meta", "--device", "meta"),
    odd("ExtractKeys --backbone nonsense", "nonsense"),
    odd("ExtractKeys --weights {folder}/nowhere", "nowhere"),
    odd("ExtractKeys --weights {folder}/empty", "{folder}/empty"),
    odd("ExtractKeys --weights {folder}/pipe", "{folder}/pipe"),
    odd("ExtractKeys --weights {folder}/bytes", "{folder}/bytes"),
    odd("LoadSaliency --source onnx", "--LoadSaliency-model"),
    odd("LoadSaliency --source onnx --model {folder}/bytes", "{folder}/bytes"),
    odd("LoadSaliency --source onnx --model {folder}/pipe", "{folder}/pipe"),
    odd("LoadSaliency --source files", "--LoadSaliency-folder"),
    odd("LoadSaliency --source files --folder {folder}/nowhere", "nowhere"),
)

SETTINGS = (
    odd("LoadDepth --settings {", "settings"),
    odd("LoadDepth --settings []", "settings"),
    odd("LoadDepth --settings 3", "settings"),
    odd("LoadDepth --settings null", "settings"),
    odd('LoadDepth --settings {"Nonsense":{}}', "Nonsense"),
    odd('LoadDepth --settings {"LoadDepth":3}', "LoadDepth"),
    odd('LoadDepth --settings {"TrainClassifier":{"epoks":1}}', "epoks", "epochs"),
    odd('RunAll --settings {"TrainClassifier":{"epochs":"x"}}', "TrainClassifier", "epochs", "x"),
    odd('RunAll --settings {"TrainClassifier":{"epochs":null}}', "TrainClassifier", "epochs"),
    odd('RunAll --settings {"TrainClassifier":{"epochs":{"a":1}}}', "TrainClassifier", "epochs"),
    odd('RunAll --settings {"TrainClassifier":{"epochs":-1}}', "TrainClassifier", "epochs", "-1"),
    odd('LoadDepth --settings {"TrainClassifier":{"seed":1}}', "seed"),
    odd('LoadDepth --settings {"FetchDataset":{"dataset":"coco"}}', "FetchDataset"),
)

COMPARISONS = (
    odd("Ablation --seeds x", "seeds", "x"),
    odd("Ablation --seeds -1", "seeds", "-1"),
    odd("Ablation --seeds ,", "seeds"),
    odd("Ablation --losses nonsense", "losses", "nonsense"),
    odd("Ablation --losses ,", "losses"),
    odd("Ablation --heads nonsense", "heads", "nonsense"),
    odd("Ablation --heads ''", "--heads", "empty"),
    odd("Ablation --vary nonsense", "nonsense"),
    odd("Ablation --vary Nonsense.epochs=1", "Nonsense"),
    odd("Ablation --vary TrainClassifier.epoks=1", "epoks"),
    odd("Ablation --vary TrainClassifier.epochs=x", "epochs", "x"),
    odd("Ablation --grid {folder}/nowhere", "nowhere"),
    odd("Ablation --grid {folder}/empty", "{folder}/empty"),
    odd("Ablation --grid {folder}/bytes", "{folder}/bytes"),
    odd("Ablation --grid {folder}/pipe", "{folder}/pipe"),
    odd("Ablation --grid {folder}/grid.toml", "grid.toml"),
    odd("Ablation --measures nonsense", "--measures", "nonsense"),
    odd("Compare --methods nonsense", "methods", "nonsense"),
    odd("Compare --methods ,", "methods"),
    odd("Compare --images -1", "images", "-1"),
    odd("EvaluateSuperpixels --taus x", "taus", "x"),
    odd("EvaluateSuperpixels --kinds nonsense", "--kinds", "nonsense"),
    odd("EvaluateSuperpixels --counts 0", "counts", "0"),
)

OTHERS = (
    odd("ExportLabels --formats gif", "--formats", "gif"),
    odd("ExportModel --measured -3", "measured", "-3"),
    odd("ExportModel --scale 0.01", "--ExportModel-scale", "0.01"),
    odd("PredictFolder", "model", with_data=False),
    odd("PredictFolder --model {folder}/nowhere --images {folder}/images", "nowhere", with_data=False),
    odd("PredictFolder --model {folder}/file --images {folder}/images", "{folder}/file", with_data=False),
    odd("PredictFolder --model {folder}/empty --images {folder}/nowhere", "nowhere", with_data=False),
    odd("PredictFolder --model {folder}/empty --images {folder}/file", "{folder}/file", with_data=False),
    odd("PredictFolder --model {folder}/empty --images {folder}/empty --scales x", "scales", "x", with_data=False),
    odd("FetchDataset", "dataset", with_data=False),
    odd("FetchDataset --dataset nonsense --data-root {folder}/x", "nonsense", with_data=False),
    odd("FetchDataset --dataset ../x --data-root {folder}/x", "../x", with_data=False),
    odd("FetchDataset --dataset coco --data-root {folder}/file", "{folder}/file", with_data=False),
)

COMMANDS = TASKS + FLAGS + VALUES + SETTINGS + COMPARISONS + OTHERS
"""All of them; none computes anything for long."""
