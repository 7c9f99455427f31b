"""The card is read by the library of the hub."""

import dataclasses
import json

import pytest

from tasks.runtime.model_card import CardFacts, FileScores, model_card

hub = pytest.importorskip("huggingface_hub")

SCORES = {
    "model.onnx": FileScores(74.25, 91.0, {"background": 90.0, "a|b": None}, 40),
    "model_int8.onnx": FileScores(73.75, 90.5, {"background": 89.0, "a|b": None}, 40),
}
FACTS = CardFacts(
    title="depthseed demo: superpixel",
    class_names=("background", "a|b"),
    dataset="demo",
    split_sizes={"train": 160, "evaluation": 40},
    licence="mit",
    data_licence="CC BY 4.0",
    method="From tags.",
    stages={"TrainSegmenter": "0123", "TrainClassifier": "4567"},
    parameters={"epochs": 5, "rates": [1, 2]},
    scores=SCORES,
    difference=1.5e-6,
    calibration_images=32,
    limits=("First.", "Second."),
)


def test_the_header_is_read_by_the_library_of_the_hub():
    card = hub.ModelCard(model_card(FACTS))
    assert (card.data.license, card.data.pipeline_tag, card.data.library_name) == ("mit", "image-segmentation", "onnx")
    assert card.data.model_name == FACTS.title
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_name) == ("mean_iou", 74.25, "demo")


def test_the_text_has_classes_scores_parameters_and_limits():
    text = model_card(FACTS)
    assert "| 0 | background | 90.0 |\n| 1 | a\\|b | - |" in text
    assert "| `model.onnx` | 74.25 | 91.00 |  |\n| `model_int8.onnx` | 73.75 | 90.50 | 0.50 |" in text
    assert "on 40 evaluation images" in text
    assert "those of 32 training images" in text
    assert "160 train images, 40 evaluation images. Licence of the data: CC BY 4.0." in text
    assert "| TrainSegmenter | `0123` |\n| TrainClassifier | `4567` |" in text
    assert json.loads(text.split("```json\n")[1].split("```")[0]) == FACTS.parameters
    assert text.endswith("## Limits\n\n- First.\n- Second.\n")


def test_without_scores_it_says_so():
    facts = dataclasses.replace(FACTS, scores={}, calibration_images=0, data_licence="")
    text = model_card(facts)
    assert hub.ModelCard(text).data.eval_results is None
    assert "Nothing was measured" in text
    assert "| 0 | background |\n| 1 | a\\|b |" in text
    assert "_int8" not in text
    assert "Licence of the data: not stated." in text
