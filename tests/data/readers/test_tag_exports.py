import json

import numpy as np
import pytest
from faults.mutations import mutated_bytes
from faults.outcomes import refusal
from PIL import Image

from data.errors import DatasetError
from data.readers.folder import read_folder
from data.readers.tag_exports import read_tags

IMAGES = ("0.jpg", "1.jpg", "2.jpg", "more/3.jpg")

COCO = {
    "images": [{"id": 10 + number, "file_name": name} for number, name in enumerate(IMAGES)],
    "annotations": [
        {"id": 1, "image_id": 10, "category_id": 5},
        {"id": 2, "image_id": 10, "category_id": 7, "bbox": [1, 2, 3, 4]},
        {"id": 3, "image_id": 12, "category_id": 9},
        {"id": 4, "image_id": 13, "category_id": 5},
    ],
    "categories": [{"id": 5, "name": "coffee mug"}, {"id": 7, "name": "plate"}, {"id": 9, "name": "background"}],
}


def task(address, *annotations, **data):
    """A task of Label Studio; each annotation is its choices, or None if it was cancelled."""
    given = [
        {
            "was_cancelled": choices is None,
            "result": [
                {"type": "choices", "from_name": "tags", "to_name": "image", "value": {"choices": choices or ["no"]}}
            ]
            if choices != []
            else [],
        }
        for choices in annotations
    ]
    return {"id": 1, "data": {"image": address, **data}, "annotations": given}


LABEL_STUDIO = [
    task("/data/upload/4/0a1b2c3d-0.jpg", ["coffee mug"], ["plate"], None, note="by two people"),
    task("s3://bucket/some%20where/1.jpg"),
    task("http://host/images/2.jpg", []),
    task("/data/local-files/?d=more/3.jpg", ["coffee mug"]),
]

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
  <meta><task><labels><label><name>plate</name></label></labels></task></meta>
  <image id="0" name="0.jpg" width="5" height="4"><tag label="coffee mug" source="manual"></tag>
    <box label="plate" xtl="1" ytl="1" xbr="2" ybr="2"/></image>
  <image id="1" name="1.jpg" width="5" height="4"></image>
  <image id="2" name="2.jpg" width="5" height="4"><tag label="background"/></image>
  <image id="3" name="more/3.jpg" subset="Train" width="5" height="4"><tag label="coffee mug"/></image>
</annotations>
"""


@pytest.fixture
def root(tmp_path):
    for name in IMAGES:
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "images" / name)
    return tmp_path


def export(root, content, name="tags.json"):
    (root / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return root / name


@pytest.mark.parametrize(
    ("content", "name"), [(COCO, "tags.json"), (LABEL_STUDIO, "tags.json"), (CVAT, "annotations.xml")]
)
def test_each_tool_gives_the_same_tags(root, content, name):
    index = read_folder(root, tags=export(root, content, name))
    assert index.class_names == ("background", "coffee_mug", "plate")
    assert {s.image_id: s.tags for s in index.samples} == {"train/0": (1, 2), "train/2": (), "train/3": (1,)}
    assert index.samples[2].image == root / "images/more/3.jpg"


def shape(kind, *labels):
    return {"type": kind, "from_name": "shapes", "to_name": "image", "value": {"x": 1, kind: list(labels)}}


def annotated(address, *results):
    return {"id": 1, "data": {"image": address}, "annotations": [{"was_cancelled": False, "result": list(results)}]}


def choice(control, *names):
    return {"type": "choices", "from_name": control, "to_name": "image", "value": {"choices": list(names)}}


@pytest.mark.parametrize("kind", ["rectanglelabels", "polygonlabels", "brushlabels", "labels"])
def test_labels_of_shapes_of_label_studio_are_tags(root, kind):
    """An image with shapes and no choice was once one that shows background alone."""
    content = [annotated("0.jpg", shape(kind, "mug"), shape(kind, "plate")), annotated("1.jpg", shape(kind, "mug"))]
    content[1]["annotations"][0]["result"].append(choice("more", "cup"))
    rows = read_tags(root, export(root, content)).rows
    assert [(row.image, row.tags) for row in rows] == [("0.jpg", "mug plate"), ("1.jpg", "cup mug")]


@pytest.mark.parametrize("result", [shape("rectanglelabels"), {"type": "brush", "value": {"rle": [1]}}])
def test_shapes_without_a_label_say_nothing(root, result):
    with pytest.raises(DatasetError, match="'0.jpg' has shapes without a label; give them one"):
        read_tags(root, export(root, [annotated("0.jpg", result)]))


def test_results_of_other_types_of_label_studio_do_not_say_that_there_is_no_class(root):
    taxonomy = {"type": "taxonomy", "from_name": "what", "value": {"taxonomy": [["tool", "mug"]]}}
    rating = {"type": "rating", "from_name": "stars", "value": {"rating": 3}}
    content = [annotated("0.jpg", choice("objects", "mug"), rating), annotated("1.jpg")]
    assert [row.tags for row in read_tags(root, export(root, content)).rows] == ["mug", ""]
    content.append(annotated("2.jpg", taxonomy, rating))
    with pytest.raises(DatasetError, match="'2.jpg' has results of the type rating, taxonomy alone, and tags are read"):
        read_tags(root, export(root, content))


def test_only_one_question_of_label_studio_can_name_the_classes(root):
    content = [annotated("0.jpg", choice("objects", "mug")), annotated("1.jpg", choice("weather", "sunny"))]
    with pytest.raises(DatasetError, match=r"choices of several questions \(objects, weather\), and only one"):
        read_tags(root, export(root, content))


def test_frames_of_a_video_of_cvat_have_no_ending(root):
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(root / "images/frame_000000.png")
    (root / "images/frame_000001").mkdir()
    content = '<annotations><image name="frame_00000{}"><tag label="mug"/></image></annotations>'
    assert read_tags(root, export(root, content.format(0), "a.xml")).rows[0].image == "frame_000000.png"
    for missing in (1, 2):
        with pytest.raises(DatasetError, match=f"names the image 'frame_00000{missing}', but .* is missing"):
            read_tags(root, export(root, content.format(missing), "a.xml"))


def test_a_subset_of_cvat_is_a_split_and_a_relative_path_is_found_in_the_data_set(root):
    export(root, CVAT.replace('"Train"', '"Validation"'), "annotations.xml")
    index = read_folder(root, tags=type(root)("annotations.xml"))
    assert [s.image_id for s in index.samples] == ["train/0", "train/2", "evaluation/3"]


def test_another_table(root):
    index = read_folder(root, tags=export(root, "image,tags\n1.jpg,cup\n", "mine.csv"))
    assert [(s.image_id, s.tags) for s in index.samples] == [("train/1", (1,))]


def changed(content, **values):
    return {**content, **values}


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("{", "a.json", "is no export of image tags that is known"),
        ("3", "a.json", "is no export of image tags that is known .ValueError: neither an object"),
        (changed(COCO, annotations=[{"image_id": 99, "category_id": 5}]), "a.json", "KeyError: 99"),
        (changed(COCO, annotations=[]), "a.json", "gives no image a tag"),
        ([task("x/nothing.jpg", ["mug"])], "a.json", "names the image 'x/nothing.jpg', but .*nothing.jpg is missing"),
        ([task("../../0.jpg", ["mug"])], "a.json", None),
        ([{"data": {"text": "no image"}, "annotations": []}], "a.json", "must have one file among its data, not 0"),
        ("<annotations><image", "a.xml", "is no export of image tags that is known"),
        ("<a><image><tag label='x'/></image></a>", "a.xml", "KeyError: 'name'"),
        ("tags", "a.txt", "tags are read from .csv, .json .COCO, Label Studio. or .xml"),
    ],
)
def test_what_cannot_be_read_is_one_line(root, content, name, message):
    path = export(root, content, name)
    if message is None:  # the name of the file alone counts: nothing outside of images/ is read
        assert [row.image for row in read_tags(root, path).rows] == ["0.jpg"]
        return
    with pytest.raises(DatasetError, match=message):
        read_tags(root, path)


def test_a_missing_file(root):
    with pytest.raises(DatasetError, match="tags.json: file is missing"):
        read_tags(root, root / "tags.json")


@pytest.mark.parametrize("content", [json.dumps(COCO), json.dumps(LABEL_STUDIO), CVAT])
def test_damaged_exports_give_rows_or_one_line(root, content):
    rng = np.random.default_rng(0)
    path = root / ("a.xml" if content is CVAT else "a.json")
    lines = []
    for _ in range(100):
        path.write_bytes(mutated_bytes(content.encode(), rng))
        lines.append(refusal(lambda: read_folder(root, tags=path)))
    refused = list(filter(None, lines))
    assert all(line.startswith(str(root)) for line in refused)
    assert len(refused) > 20


def test_one_file_is_not_in_both_splits(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "images" / "0.png")
    path = tmp_path / "tags.xml"
    image = '<image name="0" subset="{}"><tag label="mug"/></image>'
    path.write_text(f"<annotations>{image.format('Train')}{image.format('Validation')}</annotations>")
    with pytest.raises(DatasetError, match="tags.xml: two of its images are .*0.png, one to train and one to evaluate"):
        read_tags(tmp_path, path)
