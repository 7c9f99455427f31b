"""The plain baseline as a stage: seeds by two thresholds, without superpixels."""

import numpy as np
import pytest

from data.errors import SettingError
from data.sample import UNLABELLED, Sample
from tasks.extract_cams import ExtractCams, read_cam
from tasks.generate_seeds import GenerateSeeds
from tasks.runtime.shards import ImageInputs, open_stores


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    return {
        "dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts"), "processes": 1,
        "device": "cpu", "settings": {"TrainClassifier": {"deal_weight": 0.0, "epochs": 1}},
    }  # fmt: skip


def test_seeds_by_thresholds_need_no_superpixels(common):
    from tasks.runtime.dag import stages

    seeds = GenerateSeeds(background="threshold", alpha=0.5, faint=0.2, **common)
    assert list(seeds.required) == ["dataset", "cams"]
    for stage in stages(seeds):
        stage.run()
    dataset = seeds.inputs["dataset"]
    samples = dataset.split("train")
    stores = open_stores({"cams": ExtractCams(**common).open()})
    for index in (0, 4):
        inputs = ImageInputs(stores, index, samples[index].size, dataset.num_classes)
        cam, classes = read_cam(inputs["cams"])
        strongest = cam.max(0).values.numpy()
        found = seeds.artifact.read_image("seed", index, samples[index].size)
        assert np.array_equal(found == 0, strongest < 0.2)
        assert np.array_equal(np.isin(found, classes.numpy()), strongest > 0.5)


def test_the_thresholds_have_an_order_and_others_do_not_matter(common):
    with pytest.raises(SettingError, match="--GenerateSeeds-faint is 0.6 and --GenerateSeeds-alpha is 0.4"):
        GenerateSeeds(background="threshold", faint=0.6, **common)
    plain = GenerateSeeds(background="threshold", **common).parameters()
    assert "faint" in plain
    assert "gamma" not in plain
    assert "faint" not in GenerateSeeds(**common).parameters()


class Read:
    """An image of a store: its arrays by name."""

    def __init__(self, **arrays):
        self.read = arrays.__getitem__


@pytest.mark.parametrize(
    ("tags", "labels", "wanted"),
    [
        ((1,), [0, 0, 0, 0], [UNLABELLED] * 4),  # the object is somewhere: no pixel is surely background
        ((), [0, 0, 0, 0], [0, UNLABELLED, UNLABELLED, 0]),
        ((1,), [0, 1, 0, 0], [0, 1, UNLABELLED, 0]),
        ((1,), [UNLABELLED] * 4, [UNLABELLED] * 4),
    ],
)
def test_a_tagged_image_without_a_named_object_says_nothing(common, tmp_path, tags, labels, wanted):
    seeds = GenerateSeeds(source="match", band=0, **common)
    sample = Sample("a", "train", tmp_path, tags, size=(1, 4))
    proposals = Read(instance=np.array([[0, 1, 2, 0]]))
    inputs = {"matches": Read(label=np.array([labels], np.uint16)), "proposals": proposals}
    assert seeds._of_objects(sample, inputs).tolist() == [wanted]


def test_only_seeds_of_objects_have_a_new_identity(common):
    assert GenerateSeeds(**common).content_identity() == {}
    assert GenerateSeeds(source="match", **common).content_identity() == {"seeds of objects": "2"}
