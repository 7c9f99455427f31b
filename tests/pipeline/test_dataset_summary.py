from PIL import Image

from data.readers.folder import read_folder
from pipeline.__main__ import main
from pipeline.dataset_summary import dataset_summary


def test_the_summary_of_a_folder(tmp_path, tiny_settings, capsys):
    for folder in ("images", "depth", "masks"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for number in range(6):
        Image.new("RGB", (5, 4)).save(tmp_path / f"set/images/{number}.png")
    (tmp_path / "set/depth/0.png").write_bytes(b"never opened")
    (tmp_path / "set/masks/4.png").write_bytes(b"never opened")
    rows = ["image,tags,split", "0.png,cup mug", "1.png,cup mug pan", "2.png,pan", "3.png,-", "4.png,pan,evaluation"]
    (tmp_path / "set/labels.csv").write_text("\n".join(row + "," * (2 - row.count(",")) for row in rows))
    text = dataset_summary(read_folder(tmp_path / "set"))
    shown = [line.split() for line in text.splitlines()]
    for line in (
        "images 4 1", "with depth 1 0", "with ground truth 0 1", "without any tag 1 0",
        "cup 2 0 0 mug 2, pan 1", "mug 2 0 0 cup 2, pan 1", "pan 2 1 1 cup 1, mug 1",
    ):  # fmt: skip
        assert line.split() in shown
    assert "cup + mug are tags of the same training images, so their CAMs cannot be told apart" in text
    assert "2 of 3 classes are never the only tag of a training image" in text
    assert f"1 images in {tmp_path}/set/images have no tags and are left out: 5.png" in text
    # The command shows it before anything was computed.
    flags = ["--dataset", "folder", "--data-root", str(tmp_path / "set"), "--artifacts", str(tmp_path / "a")]
    assert main(["show", "IndexDataset", *flags]) == 0
    assert capsys.readouterr().out.strip() == text
