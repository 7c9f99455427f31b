import numpy as np

from data.recordings.frames import millimetres


def test_depth_in_other_units_becomes_millimetres():
    assert millimetres(np.array([[5000, 5002, 5003, 0]], np.uint16), 5000).tolist() == [[1000, 1000, 1001, 0]]
    assert millimetres(np.array([[2.0, 65.535, 65.536]], np.float32), 1).tolist() == [[2000, 65535, 0]]
    assert millimetres(np.array([[70000]], np.int32), 1000).tolist() == [[0]]
    same = np.array([[7]], np.uint16)
    assert millimetres(same, 1000) is same
