import numpy as np
import pytest
from faults.mutations import mutated_bytes
from faults.outcomes import refusal
from PIL import Image
from reader_contract import SIZE, check_layout, labels, picture, read, save

from data.errors import DatasetError
from data.files.labels import read_truth
from data.readers import DATASETS
from data.sample import UNLABELLED


def make_voc(root):
    home = root / "VOCdevkit" / "VOC2012"
    (home / "ImageSets" / "Segmentation").mkdir(parents=True)
    (home / "ImageSets" / "Segmentation" / "train_aug.txt").write_text("2007_000032\n2008_000008\n2009_000001\n")
    (home / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_000033\n")
    for stem in ("2007_000032", "2007_000033", "2008_000008", "2009_000001"):
        save(home / "JPEGImages" / f"{stem}.jpg", picture())
        (home / "Annotations").mkdir(exist_ok=True)
        (home / "Annotations" / f"{stem}.xml").write_text(
            "<annotation><object><name>tvmonitor</name></object><object><name>aeroplane</name></object></annotation>"
        )
    palette = Image.new("P", SIZE[::-1])
    palette.putdata(labels(20).flatten().tolist())
    palette.putpalette([value for class_number in range(256) for value in (class_number, 255 - class_number, 0)])
    for stem in ("2007_000032", "2007_000033"):
        (home / "SegmentationClass").mkdir(exist_ok=True)
        palette.save(home / "SegmentationClass" / f"{stem}.png")
    save(home / "SegmentationClassAug" / "2008_000008.png", labels(20))
    from scipy.io import savemat

    mat = root / "benchmark_RELEASE" / "dataset" / "cls" / "2009_000001.mat"
    mat.parent.mkdir(parents=True)
    savemat(mat, {"GTcls": {"Segmentation": labels(20)}})


def test_the_official_layout_is_indexed(tmp_path):
    make_voc(tmp_path)
    check_layout("voc", tmp_path, (3, 1), 20, (1, 20), 20)


def test_masks_are_taken_from_voc_before_sbd(tmp_path):
    make_voc(tmp_path)
    index = read("voc", tmp_path)
    kinds = {sample.image_id: (sample.truth[0].path.suffix, sample.truth[0].encoding) for sample in index.samples}
    assert kinds["train/2009_000001"] == (".mat", "sbd")
    assert kinds["train/2008_000008"] == (".png", "")
    assert read_truth(index.samples[0], 20)[1, 1] == 20
    assert read_truth(index.samples[0], 20)[-1, 0] == UNLABELLED


def test_a_class_of_another_set_is_named(tmp_path):
    make_voc(tmp_path)
    path = tmp_path / "VOCdevkit/VOC2012/Annotations/2007_000033.xml"
    path.write_text("<annotation><object><name>zebra</name></object></annotation>")
    with pytest.raises(DatasetError, match="2007_000033.xml: class 'zebra' is not a VOC class"):
        read("voc", tmp_path)


def test_a_missing_train_aug_is_built_from_the_lists_of_voc_and_sbd(tmp_path):
    make_voc(tmp_path)
    lists = tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation"
    (lists / "train_aug.txt").unlink()
    (lists / "train.txt").write_text("2007_000032\n")
    for name, stems in (("train", "2008_000008\n2007_000033\n"), ("val", "2009_000001\n")):
        (tmp_path / f"benchmark_RELEASE/dataset/{name}.txt").write_text(stems)
    found = [sample.image_id for sample in read("voc", tmp_path).split("train")]
    assert found == ["train/2007_000032", "train/2008_000008", "train/2009_000001"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<annotation>",
        b"\0",
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
        b'<?xml version="1.0" encoding="x"?><a/>',
    ],
)
def test_what_is_no_xml_file_is_named(tmp_path, content):
    make_voc(tmp_path)
    (tmp_path / "VOCdevkit/VOC2012/Annotations/2007_000033.xml").write_bytes(content)
    with pytest.raises(DatasetError, match="2007_000033.xml: cannot be read"):
        read("voc", tmp_path)


def test_damaged_xml_files_give_an_index_or_one_line(tmp_path):
    make_voc(tmp_path)
    rng, lines = np.random.default_rng(0), []
    path = tmp_path / "VOCdevkit/VOC2012/Annotations/2007_000033.xml"
    content = path.read_bytes()
    for _ in range(150):
        path.write_bytes(mutated_bytes(content, rng))
        lines.append(refusal(read, "voc", tmp_path))
    refused = list(filter(None, lines))
    assert all(line.startswith(str(path)) for line in refused)
    assert len(refused) > 50


def test_an_empty_list_is_named(tmp_path):
    make_voc(tmp_path)
    (tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").write_text("\n")
    with pytest.raises(DatasetError, match=r"the evaluation split \(val\) has no images"):
        read("voc", tmp_path)


def test_the_list_test_needs_neither_masks_nor_tags(tmp_path):
    make_voc(tmp_path)
    home = tmp_path / "VOCdevkit" / "VOC2012"
    (home / "ImageSets" / "Segmentation" / "test.txt").write_text("2008_000006\n")
    save(home / "JPEGImages" / "2008_000006.jpg", picture())
    spec = DATASETS["voc"]
    index = spec.read(home, spec.chosen({"train": "", "evaluation": "test"}))
    (sample,) = index.split("evaluation")
    assert (sample.image_id, sample.tags, sample.truth) == ("evaluation/2008_000006", (), ())
    assert len(index.split("train")) == 3
    (home / "ImageSets" / "Segmentation" / "val.txt").write_text("2008_000006\n")
    with pytest.raises(DatasetError, match=r"2008_000006.xml"):  # any other list needs them
        read("voc", tmp_path)
