import numpy as np

from models.label_values import UNLABELLED
from models.match_seeds import seeds_of_objects


def test_near_borders_and_in_unnamed_objects_nothing_is_labelled():
    labels = np.zeros((12, 16), int)
    labels[:, 8:] = 4
    unnamed = np.zeros(labels.shape, bool)
    unnamed[:3, :3] = True
    found = seeds_of_objects(labels, unnamed, band=2)
    assert (found[:, 6:10] == UNLABELLED).all()
    assert (found[:, 10:] == 4).all()
    assert (found[:3, :3] == UNLABELLED).all()
    assert (found[3:, :6] == 0).all()
    assert (seeds_of_objects(labels, np.zeros(labels.shape, bool), band=0) == labels).all()
