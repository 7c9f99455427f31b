import numpy as np

from tasks.predict_masks import PredictMasks, region_means


def test_region_means_equal_the_loops():
    rng = np.random.default_rng(0)
    values, regions = rng.random((3, 6, 7)).astype(np.float32), rng.choice([0, 2, 5], (6, 7))
    found = region_means(values, regions)
    for label in range(3):
        for region in (0, 2, 5):
            pixels = [(y, x) for y in range(6) for x in range(7) if regions[y, x] == region]
            mean = sum(float(values[label, y, x]) for y, x in pixels) / len(pixels)
            assert all(abs(found[label, y, x] - mean) < 1e-6 for y, x in pixels)


def test_a_vote_needs_superpixels_of_the_same_split_and_is_another_artifact(in_process, bop_root, tmp_path):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    plain, voted = (PredictMasks(**common, split="evaluation", vote=vote) for vote in ("none", "superpixels"))
    assert "vote" not in plain.parameters()
    assert plain.identity != voted.identity
    assert [task.label for task in voted.stages_above()][-1] == "DiscoverSuperpixels-evaluation"
