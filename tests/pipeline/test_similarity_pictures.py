import luigi
import numpy as np
import pytest
from PIL import Image

from data.errors import SettingError
from pipeline import DiscoverSuperpixels, ExtractKeys
from pipeline.__main__ import main
from pipeline.similarity_pictures import at_patches, at_pixels, similarity_pictures, similarity_sheet


def test_the_maps_of_a_figure_count_within_the_largest_object(tmp_path):
    """An object of four patches, of which one differs from the others, and a smaller object of another class."""
    keys = np.zeros((2, 3, 2), np.float32)
    keys[..., 0] = 1.0
    keys[1, 1] = (-1.0, 0.0)
    truth = np.zeros((20, 30), np.uint16)
    truth[:, :20], truth[:10, 20:] = 2, 1
    Image.fromarray(np.full((20, 30, 3), 9, np.uint8)).save(tmp_path / "image.png")

    class Keys:
        def read(self, name, **sizes):
            return {"grid": np.array([2, 3]), "key": keys}[name]

    class Frame:
        image, size = tmp_path / "image.png", (20, 30)

    image, cut, positive, negative = similarity_pictures(Frame(), truth, {"keys": Keys()})
    assert (image == 9).all()
    assert (cut[:, 20:] == 255).all()
    assert (cut[:, :20] == 9).all()
    brightness = [np.unique(picture[5::10, 5::10].sum(2), return_inverse=True)[1] for picture in (positive, negative)]
    assert brightness[0].tolist() == [[2, 2, 0], [2, 1, 0]]  # 3 of 4 patches, the odd one is like itself alone
    assert brightness[1].tolist() == [[1, 1, 0], [1, 2, 0]]


def test_patches_belong_to_an_object_by_half_of_their_area():
    mask = np.zeros((8, 12), bool)
    mask[:, :6] = True
    assert at_patches(mask, (2, 3)).tolist() == [[True, True, False]] * 2
    assert at_pixels(np.array([[0.0, 1.0]]), (2, 4)).tolist() == [[0.0, 0.0, 1.0, 1.0]] * 2


def test_the_command_draws_them(in_process, bop_root, tmp_path, capsys):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts"), "processes": 1}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in common.items()]
    output = tmp_path / "figure.png"
    command = ["show", "ExtractKeys", "--similarities", "--output", str(output), *flags]
    assert main(command) == 1
    assert "there are no keys yet" in capsys.readouterr().err
    assert luigi.build([ExtractKeys(**common)], local_scheduler=True, log_level="ERROR")
    assert main(command) == 0
    with Image.open(output) as picture:
        assert picture.width > 200
    with pytest.raises(SettingError, match="--similarities needs keys"):
        similarity_sheet(DiscoverSuperpixels(**common), None, output)
    with pytest.raises(SettingError, match="has no image 'nobody'"):
        similarity_sheet(ExtractKeys(**common), "nobody", output)
