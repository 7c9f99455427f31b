"""Corrected label maps come back: they replace the seeds of their images, and nothing else does."""

import numpy as np
import pytest
from PIL import Image
from support import FolderHere

from data.store.sharded import ShardedStore


@pytest.fixture
def own(in_process, tiny_settings, tmp_path, capsys):
    root = tmp_path / "own"
    (root / "images").mkdir(parents=True)
    rows, rng = ["image,tags"], np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(root / f"images/{number}.png")
        rows.append(f"{number}.png,{('cup', 'mug')[number % 2]}")
    (root / "labels.csv").write_text("\n".join(rows))
    return FolderHere(tiny_settings.parent, root, capsys)


def seeds(own, *flags):
    """The seeds of all images, the stages that ran, and the artifact."""
    before = set(own.artifacts.glob("folder/GenerateSeeds/*.zarr"))
    result = own.luigi("GenerateSeeds", "--processes", 1, *flags)
    assert result.returncode == 0, result.stderr
    started = [line.partition(":")[0] for line in result.stderr.splitlines() if ": started, " in line]
    new = set(own.artifacts.glob("folder/GenerateSeeds/*.zarr")) - before
    store = ShardedStore(next(iter(new))) if new else None
    return store and np.stack([store.read_image("seed", n, (48, 64)) for n in range(4)]), started, result.stderr


def test_a_corrected_label_map_is_the_seed_of_its_image(own):
    (own.data_root / "masks").mkdir()
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(own.data_root / "masks/0.png")
    plain, _, _ = seeds(own)
    assert plain[0].any()  # a mask is ground truth and no label

    labels = np.zeros((48, 64), np.uint8)
    labels[10:30, 20:40], labels[40:] = 2, 255
    (own.data_root / "corrections").mkdir()
    correction = Image.fromarray(labels).convert("P")
    correction.putpalette([1, 2, 3] * 256)  # as ExportLabels writes them
    correction.frombytes(labels.tobytes())
    correction.save(own.data_root / "corrections/1.png")
    corrected, started, log = seeds(own)
    assert started == ["GenerateSeeds"]  # nothing before it runs again
    assert "GenerateSeeds: 1 images have corrections, which replace their seeds" in log
    assert np.array_equal(corrected[1], np.where(labels == 255, 65535, labels.astype(np.uint16)))
    assert np.array_equal(corrected[[0, 2, 3]], plain[[0, 2, 3]])

    assert seeds(own, "--GenerateSeeds-corrections", "false")[1] == []  # what there was before
    assert seeds(own)[1] == []

    labels[0, 0] = 1
    Image.fromarray(labels).save(own.data_root / "corrections/1.png")
    result = own.luigi("GenerateSeeds", "--processes", 1)
    assert result.returncode != 0
    assert "corrections/1.png: shows the class number 1, which is no tag of train/1; add the tag" in result.stderr
    labels[0, 0] = 0
    Image.fromarray(labels[:, :9]).save(own.data_root / "corrections/1.png")
    assert "give both the same size" in own.luigi("GenerateSeeds", "--processes", 1).stderr
    (own.data_root / "corrections/1.png").rename(own.data_root / "corrections/one.png")
    assert "corrections/one.png: belongs to no training image" in own.luigi("GenerateSeeds", "--processes", 1).stderr
    (own.data_root / "corrections/one.png").rename(own.data_root / "corrections/1.png")
    (own.data_root / "merge.csv").write_text("class,category\ncup,vessel\n")
    flags = ("--IndexDataset-merge", own.data_root / "merge.csv")
    assert "cannot be used together with --IndexDataset-merge" in own.luigi("GenerateSeeds", *flags).stderr


def test_exported_labels_are_as_corrected(own):
    labels = np.full((48, 64), 255, np.uint8)
    labels[10:30, 20:40], labels[40:] = 2, 0
    (own.data_root / "corrections").mkdir()
    Image.fromarray(labels).save(own.data_root / "corrections/1.png")

    def exported(*flags):
        before = set(own.artifacts.glob("folder/ExportLabels/*"))
        result = own.luigi("ExportLabels", "--formats", "png", "--processes", 1, *flags)
        assert result.returncode == 0, result.stderr
        (new,) = set(own.artifacts.glob("folder/ExportLabels/*")) - before
        return [np.asarray(Image.open(new / f"png/train/{number}.png")) for number in range(4)]

    plain = exported("--ExportLabels-corrections", "false")
    certain = exported()
    is_certain = labels != 255
    assert np.array_equal(certain[1], np.where(is_certain, labels, plain[1]))
    assert not np.array_equal(plain[1], certain[1])
    assert all(np.array_equal(plain[number], certain[number]) for number in (0, 2, 3))

    at_half_size = exported("--IndexDataset-size", 32)
    assert np.array_equal(at_half_size[1][is_certain], labels[is_certain])  # it is not resampled
