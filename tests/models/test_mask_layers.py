import numpy as np

from models.mask_layers import flattened


def masks():
    first, second, third = np.zeros((3, 6, 8), bool)
    first[:4, :4], second[2:, 2:], third[:2, :3] = True, True, True
    return [first, second, third]


def test_higher_scores_cover_lower_ones():
    instances, scores = flattened(masks(), np.array([0.5, 0.9, 0.2]), (6, 8), visible=0.0, smallest=1)
    assert scores.tolist() == [0.9, 0.5]  # nothing of the third is left
    assert (instances[2:, 2:] == 1).all()
    assert (instances[:2, :4] == 2).all()
    assert (instances == 2).sum() == 12


def test_what_is_mostly_covered_or_small_is_left_out():
    scores = np.array([0.5, 0.9, 0.2])
    assert flattened(masks(), scores, (6, 8), visible=0.8, smallest=1)[1].tolist() == [0.9, 0.2]
    assert flattened(masks(), scores, (6, 8), visible=0.0, smallest=13)[1].tolist() == [0.9]


def test_no_masks_are_no_instances():
    instances, scores = flattened([], np.zeros(0), (2, 3), 0.5, 1)
    assert not instances.any()
    assert scores.shape == (0,)
