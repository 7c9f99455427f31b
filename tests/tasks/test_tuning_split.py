"""The tuning split of IndexDataset: stages see it as the evaluation split, and the own one of the set is not read."""

from data.sample import EVALUATION, TRAIN
from tasks.index_dataset import IndexDataset


def test_settings_can_be_chosen_without_the_evaluation_images(in_process, bop_root, tmp_path):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path)}
    plain, tuned = IndexDataset(**common), IndexDataset(tuning=0.5, **common)
    assert "tuning" not in plain.parameters()  # so older artifacts are still those of this stage
    assert IndexDataset(tuning=0.0, **common).identity == plain.identity != tuned.identity
    assert plain.folders() == {TRAIN: "train_pbr", EVALUATION: "test"}
    assert tuned.folders() == {TRAIN: "train_pbr", EVALUATION: "tuning"}
    for stage in (plain, tuned):
        stage.run()
    whole, found = plain.open(), tuned.open()
    assert {*found.split(TRAIN).ids, *found.split(EVALUATION).ids} == set(whole.split(TRAIN).ids)
    assert not set(found.split(EVALUATION).ids) & set(whole.split(EVALUATION).ids)
    assert found.split(EVALUATION)
    assert all(sample.truth for sample in tuned.read_with_truth().split(EVALUATION))
