"""Label files of every encoding, each written here as its data set writes it."""

import json
import struct
import zlib

import numpy as np
import pytest
from faults.mutations import mutated_bytes, mutated_json
from faults.outcomes import refusal
from PIL import Image

from data.errors import ImageError
from data.files.encodings import CITYSCAPES_IDS, ENCODINGS, SUIM_COLOURS, plain
from data.sample import UNLABELLED


def test_cityscapes_ids_become_train_ids(tmp_path):
    ids = np.array([[0, 7, 8], [33, 34, 26]], np.uint8)
    Image.fromarray(ids).save(tmp_path / "a.png")
    found = ENCODINGS["cityscapes"](tmp_path / "a.png", "", (2, 3))
    assert found.tolist() == [[UNLABELLED, 0, 1], [18, UNLABELLED, 13]]
    assert len(set(CITYSCAPES_IDS)) == 19


def test_suim_colours_become_class_numbers(tmp_path):
    Image.fromarray(np.array([SUIM_COLOURS], np.uint8)).save(tmp_path / "a.bmp")
    assert ENCODINGS["suim"](tmp_path / "a.bmp", "", (1, 8)).tolist() == [list(range(8))]


def test_pannuke_types_become_classes(tmp_path):
    masks = np.zeros((3, 2, 4, 6))
    masks[2, 0, 1, 0], masks[2, 1, 3, 4] = 17, 3
    masks[2, ..., 5] = 1
    np.save(tmp_path / "masks.npy", masks)
    found = ENCODINGS["pannuke"](tmp_path / "masks.npy" / "2", "", (2, 4))
    assert found.tolist() == [[0, 1, 0, 0], [0, 0, 0, 5]]


def test_sbd_is_a_matlab_structure(tmp_path):
    from scipy.io import savemat

    labels = np.array([[0, 5], [20, 255]], np.uint8)
    savemat(tmp_path / "a.mat", {"GTcls": {"Segmentation": labels, "CategoriesPresent": [5, 20]}})
    assert ENCODINGS["sbd"](tmp_path / "a.mat", "", (2, 2)).tolist() == [[0, 5], [20, UNLABELLED]]
    (tmp_path / "b.mat").write_bytes(b"not matlab")
    with pytest.raises(ImageError, match="b.mat: is not an SBD annotation"):
        ENCODINGS["sbd"](tmp_path / "b.mat", "", (2, 2))


@pytest.mark.parametrize(
    "content",
    [
        {"GTcls": {"Segmentation": np.zeros((2, 2))}},
        {"GTcls": {"Segmentation": np.zeros((2, 2, 2), np.uint8)}},
        {"GTcls": {"Segmentation": "text"}},
        {"GTcls": 3},
        {"other": 3},
    ],
)
def test_other_matlab_files_are_named(tmp_path, content):
    from scipy.io import savemat

    savemat(tmp_path / "a.mat", content)
    with pytest.raises(ImageError, match="a.mat: is not an SBD annotation"):
        ENCODINGS["sbd"](tmp_path / "a.mat", "", (2, 2))


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_matlab_files_give_labels_or_one_line(tmp_path, compressed):
    from scipy.io import savemat

    rng, path = np.random.default_rng(0), tmp_path / "a.mat"
    labels = rng.integers(0, 21, (30, 40), np.uint8)
    savemat(path, {"GTcls": {"Segmentation": labels, "CategoriesPresent": [5, 20]}}, do_compression=compressed)
    content, lines = path.read_bytes(), []
    for _ in range(150):
        path.write_bytes(mutated_bytes(content, rng))
        lines.append(refusal(ENCODINGS["sbd"], path, "", (30, 40)))
    refused = list(filter(None, lines))
    assert all(line.startswith(f"{path}: ") for line in refused)
    assert len(refused) > 50


def test_masks_of_another_shape_are_no_masks_of_pannuke(tmp_path):
    np.save(tmp_path / "masks.npy", np.zeros((1, 2, 4, 5)))
    with pytest.raises(ImageError, match=r"masks.npy: item 0 has shape \(2, 4, 5\) instead of \(H, W, 6\)"):
        ENCODINGS["pannuke"](tmp_path / "masks.npy" / "0", "", (2, 4))


@pytest.mark.parametrize("mode", ["RGB", "I;16", "P"])
def test_label_ids_of_cityscapes_have_8_bits(tmp_path, mode):
    Image.new(mode, (4, 2)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="a.png: has .*; label ids have 8 bits"):
        ENCODINGS["cityscapes"](tmp_path / "a.png", "", (2, 4))


def coco_file(path, annotations):
    categories = [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}]
    for annotation_id, item in enumerate(annotations):
        item.update(id=annotation_id, image_id=item.get("image_id", 7))
    images = [{"id": image_id, "file_name": f"{image_id}.jpg"} for image_id in (7, 8)]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
    return path


def box(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def test_coco_draws_small_instances_over_large_ones_and_numbers_classes_without_gaps(tmp_path):
    path = coco_file(
        tmp_path / "instances.json",
        [
            {"category_id": 90, "area": 4, "segmentation": box(3, 3, 4, 4)},
            {"category_id": 1, "area": 64, "segmentation": box(1, 1, 8, 8)},
            {"category_id": 3, "area": 4, "segmentation": box(0, 0, 1, 1), "image_id": 8},
        ],
    )
    found = ENCODINGS["coco"](path, "7", (10, 12))
    assert found[2, 2] == 1
    assert found[3, 3] == 3
    assert found[9, 11] == 0
    assert set(np.unique(found)) == {0, 1, 3}
    assert ENCODINGS["coco"](path, "99", (10, 12)).max() == 0


def test_coco_numbers_of_more_classes_than_a_byte_holds(tmp_path):
    categories = [{"id": number, "name": str(number)} for number in range(1, 1204)]
    annotations = [
        {"id": left, "image_id": 7, "category_id": number, "area": 4, "segmentation": box(left, 0, left + 1, 1)}
        for left, number in zip(range(0, 15, 3), (44, 255, 256, 300, 1203), strict=True)
    ]
    path = tmp_path / "instances.json"
    images = [{"id": 7, "file_name": "a.jpg", "height": 4, "width": 16}]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
    found = ENCODINGS["coco"](path, "7", (4, 16))
    assert found[0, ::3].tolist() == [44, 255, 256, 300, 1203, 0]


def test_coco_crowds_are_unlabelled_and_below_the_instances(tmp_path):
    counts = [0, 30, 70]  # run lengths down the columns: the first three columns of ten rows
    path = coco_file(
        tmp_path / "instances.json",
        [
            {"category_id": 1, "area": 30, "iscrowd": 1, "segmentation": {"size": [10, 10], "counts": counts}},
            {"category_id": 3, "area": 50, "segmentation": box(0, 0, 1, 1)},
        ],
    )
    found = ENCODINGS["coco"](path, "7", (10, 10))
    assert found[0, 0] == 2
    assert (found[5, :3] == UNLABELLED).all()
    assert (found[:, 3:] == 0).all()


def test_labelme_polygons_are_drawn_in_order_and_the_rest_is_unlabelled(tmp_path):
    shapes = [
        {"label": "road", "points": [[0, 0], [9, 0], [9, 9], [0, 9]]},
        {"label": "car", "points": [[2, 2], [4, 2], [4, 4], [2, 4]]},
    ]
    (tmp_path / "a.json").write_text(json.dumps({"shapes": shapes}))
    found = ENCODINGS["labelme"](tmp_path / "a.json", "road|car", (12, 12))
    assert found[0, 0] == 0
    assert found[3, 3] == 1
    assert found[11, 11] == UNLABELLED
    with pytest.raises(ImageError, match="a.json: class 'car' is unknown; use one of: road"):
        ENCODINGS["labelme"](tmp_path / "a.json", "road", (12, 12))


def test_coarse_polygons_of_a_coco_file_leave_the_rest_unlabelled(tmp_path):
    path = coco_file(tmp_path / "coarse.json", [{"category_id": 3, "segmentation": box(1, 1, 4, 4)}])
    content = json.loads(path.read_text())
    content["images"] = [{"id": 7, "file_name": "a.jpg"}]
    path = tmp_path / "named.json"
    path.write_text(json.dumps(content))
    found = ENCODINGS["coco_polygons"](path, "a.jpg|background|car", (8, 8))
    assert found[2, 2] == 1
    assert found[7, 7] == UNLABELLED
    with pytest.raises(ImageError, match="named.json: has no image 'b.jpg'"):
        ENCODINGS["coco_polygons"](path, "b.jpg|background|car", (8, 8))
    with pytest.raises(ImageError, match="class 'car' is unknown; use one of: background, bus"):
        ENCODINGS["coco_polygons"](path, "a.jpg|background|bus", (8, 8))


def test_annotations_of_an_image_of_another_size_are_refused(tmp_path):
    """The size in the file is that of the photograph before a viewer turned it, or of a larger copy."""
    path = coco_file(tmp_path / "coarse.json", [{"category_id": 3, "area": 9, "segmentation": box(1, 1, 4, 4)}])
    content = json.loads(path.read_text())
    content["images"][0].update(height=8, width=6)
    (tmp_path / "sized.json").write_text(json.dumps(content))
    (tmp_path / "labelme.json").write_text(json.dumps({"shapes": [], "imageHeight": 8, "imageWidth": 6}))
    for encoding, name, member in (
        ("coco", "sized.json", "7"),
        ("coco_polygons", "sized.json", "7.jpg|background|car"),
        ("labelme", "labelme.json", "background|car"),
    ):
        assert ENCODINGS[encoding](tmp_path / name, member, (8, 6)).shape == (8, 6)
        with pytest.raises(ImageError, match=f"{name}: was drawn on an image of 6x8, but the image is 8x6"):
            ENCODINGS[encoding](tmp_path / name, member, (6, 8))


@pytest.mark.parametrize(
    "segmentation", [{"size": [8, 8], "counts": "9"}, {"size": [4, 4], "counts": [16]}, [["a", 1]]]
)
def test_a_damaged_segmentation_is_named(tmp_path, segmentation):
    path = coco_file(tmp_path / "a.json", [{"category_id": 3, "area": 9, "segmentation": segmentation}])
    with pytest.raises(ImageError, match="a.json: annotation 0 is damaged: "):
        ENCODINGS["coco"](path, "7", (8, 8))


def test_damaged_annotation_files_give_labels_or_one_line(tmp_path):
    rng = np.random.default_rng(0)
    run_lengths = {"size": [10, 12], "counts": [0, 30, 90]}
    instances = [{"category_id": 1, "area": 9, "segmentation": box(1, 1, 4, 4)}]
    instances += [{"category_id": 3, "area": 30, "iscrowd": 1, "segmentation": run_lengths}]
    coco = json.loads(coco_file(tmp_path / "coco.json", instances).read_text())
    shapes = [{"label": "car", "points": [[2, 2], [4, 2], [4, 4]], "shape_type": "polygon"}]
    labelme = {"shapes": shapes, "imageHeight": 10, "imageWidth": 12}
    lines = []
    for number in range(300):
        encoding, content, member = (
            ("coco", coco, "7"), ("labelme", labelme, "background|car"), ("coco_polygons", coco, "7.jpg|car|person"),
        )[number % 3]  # fmt: skip
        path = tmp_path / f"{number}.json"  # files are parsed once: each has a name of its own
        path.write_text(mutated_json(content, rng))
        if line := refusal(ENCODINGS[encoding], path, member, (10, 12)):
            assert line.startswith(f"{path}: ")
            lines.append(line)
    assert 100 < len(lines) < 300


def grey_png(values, bits):
    """A grey PNG file whose values have 1, 2, 4 or 8 bits, as the PNG specification (W3C, section 7.2) packs them."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b""
    for row in values.tolist():
        text = "".join(format(value, f"0{bits}b") for value in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_label_maps_of_few_bits_have_the_values_of_the_file(tmp_path, bits):
    """Pillow makes 85 of 1 with 2 bits, and 17 with 4."""
    values = np.arange(min(2**bits, 200)).reshape(2, -1)
    (tmp_path / "a.png").write_bytes(grey_png(values, bits))
    assert (plain(tmp_path / "a.png") == values).all()
