import pytest

from data.errors import SettingError
from tasks.export_labels import ExportLabels


@pytest.mark.parametrize("split", ["train", "evaluation"])
def test_the_archive_for_voc_is_for_predictions_of_voc(in_process, bop_root, tmp_path, split):
    stage = ExportLabels(dataset="bop", data_root=str(bop_root), artifacts=str(tmp_path), split=split, formats=("voc",))
    with pytest.raises(SettingError, match="formats voc is for the predictions of PASCAL VOC; use --dataset voc"):
        stage._voc()
