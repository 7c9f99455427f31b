import pickle

import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError
from tasks.index_dataset import IndexDataset
from tasks.runtime.luigi_seam import forget_instances
from tasks.train_classifier import TrainClassifier
from tasks.train_segmenter import TrainSegmenter


def save(path, value=70):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 10, 3), value, np.uint8)).save(path)


@pytest.fixture
def common(in_process, tmp_path):
    """A set of two cups, which are merged, and a plate; photographs of both cups."""
    root = tmp_path / "set"
    for name in ("images/a.png", "images/b.png", "crops/cup_red/1.png", "crops/cup_blue/1.png"):
        save(root / name)
    (root / "labels.csv").write_text("image,tags\na.png,cup_red plate\nb.png,cup_blue\n")
    (root / "merge.csv").write_text("class,category\ncup_red,cup\ncup_blue,cup\n")
    return {
        "dataset": "folder", "data_root": str(root), "artifacts": str(tmp_path / "artifacts"), "device": "cpu",
        "settings": {"IndexDataset": {"merge": str(root / "merge.csv")}, "TrainClassifier": {"deal_weight": 0.0}},
    }  # fmt: skip


@pytest.mark.parametrize("stage", [TrainClassifier, TrainSegmenter])
def test_photographs_enter_the_identity_if_they_are_pasted(common, tmp_path, stage):
    without, pasting = stage(**common), stage(**common, cutouts=2)
    assert without.pasted_cutouts() is None
    assert [number for _, number in pasting.pasted_cutouts().photographs] == [1, 1]  # both are cups
    identities = without.identity, pasting.identity
    save(tmp_path / "set/crops/cup_red/1.png", 90)
    forget_instances()
    assert stage(**common).identity == identities[0]
    assert stage(**common, cutouts=2).identity != identities[1]


def test_depth_is_read_for_the_scale(common):
    assert set(TrainClassifier(**common).required) == {"dataset"}
    assert set(TrainClassifier(**common, cutouts=1).required) == {"dataset", "depth"}
    assert TrainClassifier(**common, cutout_distance=2.0).identity == TrainClassifier(**common).identity


def test_photographs_of_an_unknown_class_are_refused_before_anything_runs(common, tmp_path):
    save(tmp_path / "set/crops/fork/1.png")
    with pytest.raises(DatasetError, match="crops/fork: 'fork' is no class of the set"):
        _ = TrainClassifier(**common, cutouts=1).identity


def test_a_training_pastes_them_and_tells_their_tags(common):
    for stage in TrainClassifier(**common, cutouts=5).required.values():
        stage.run()
    trained = TrainClassifier(**common, cutouts=5)
    images = trained.training_images(trained.depth_maps(), cutouts=trained.pasted_cutouts())
    tags = np.stack([images[turn, 1]["tags"].numpy() for turn in range(20)])
    assert (tags[:, 0] == 1).all()
    assert (tags[:, 1] == 0).all()
    pictures = [images[turn, 1]["image"].numpy() for turn in range(20)]
    assert len({picture.tobytes() for picture in pictures}) > 1


def test_only_a_folder_has_classes_to_merge(common, bop_root):
    other = {**common, "dataset": "bop", "data_root": str(bop_root)}
    with pytest.raises(ValueError, match="--IndexDataset-merge is for the data set folder; bop does not take it"):
        _ = IndexDataset(**other).identity


def test_a_photograph_that_comes_after_the_planning_is_not_pasted(common, tmp_path):
    pasting = TrainSegmenter(**common, cutouts=2)
    identity, planned = pasting.identity, pasting.pasted_cutouts().photographs
    save(tmp_path / "set/crops/cup_red/2.png", 90)
    for stage in (pasting, pickle.loads(pickle.dumps(pasting))):
        assert stage.pasted_cutouts().photographs == planned
    forget_instances()
    again = TrainSegmenter(**common, cutouts=2)
    assert len(again.pasted_cutouts().photographs) == len(planned) + 1
    assert again.identity != identity
