import numpy as np
import pytest

from data.errors import DamagedArtifactError
from data.files.labels import label_png
from data.store.artifact import write_bytes
from tasks.runtime.trained_model import TrainedArtifact
from tasks.train_segmenter import TrainSegmenter


def test_a_grown_seed_that_is_not_what_was_written_is_named(in_process, tmp_path):
    stage = TrainSegmenter(dataset="bop", data_root="unused", epochs=1)
    stage.__dict__["artifact"] = TrainedArtifact(tmp_path)
    path = stage._grown_path(3, 0)
    write_bytes(path, label_png(np.full((2, 3), 300, np.uint16)))
    stage.artifact.finish({})
    assert stage.grown_seeds(3)[0].tolist() == [[300] * 3] * 2
    write_bytes(path, label_png(np.zeros((2, 3), np.uint16)))
    with pytest.raises(DamagedArtifactError, match="image-000003-epoch-001.png is damaged"):
        stage.grown_seeds(3)
