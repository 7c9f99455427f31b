import numpy as np
import pytest

from data.store import tiles
from data.store.sharded import ShardedStore
from data.store.tiles import SHARD_BYTES, ArraySpec


def test_a_tile_of_all_images_of_a_shard_is_bounded():
    for shape, dtype in (((4000, 3000), "float32"), ((186764, 640), "float32"), ((5, 1000, 750), "float16")):
        dims = ("y", "x") if len(shape) == 2 else ("slot", "y", "x")
        for images in (1, 7, 32):
            tile = ArraySpec(dims, shape, dtype, 0, {}).tile(images)
            assert images * np.prod(tile) * np.dtype(dtype).itemsize <= SHARD_BYTES


def test_the_bytes_of_an_image_follow_its_own_size():
    spec = ArraySpec(("slot", "y", "x"), (3, 100, 50), "float16", 0, {}, stride=4)
    sizes = np.array([[400, 200], [200, 200], [400, 100]])
    assert spec.image_bytes(sizes).tolist() == [3 * 100 * 50 * 2, 3 * 50 * 50 * 2, 3 * 100 * 25 * 2]


@pytest.fixture
def tiled(tmp_path, monkeypatch):
    """Five images of very different sizes in tiles of 64 cells, two images per shard; the store and the images."""
    monkeypatch.setattr(tiles, "SHARD_BYTES", 2 * 64 * 64 * 4)
    sizes = [(5, 300), (200, 3), (30, 20), (64, 64), (20, 30)]
    rng = np.random.default_rng(0)
    images = [rng.random(size).astype(np.float32) for size in sizes]
    spec = ArraySpec(("y", "x"), (200, 300), "float32", float("nan"), {})
    counts = ArraySpec((), (), "uint16", 0, {})
    store = ShardedStore(tmp_path / "a.zarr")
    store.create(list("abcde"), {"depth": spec, "count": counts}, {}, 2)
    for shard in store.missing_shards():
        here = [images[index] for index in store.images_of(shard)]
        store.write_shard(shard, {"depth": here, "count": [np.uint16(len(image)) for image in here]})
    store.finish({})
    return ShardedStore(store.path), images


def test_every_image_reads_back_from_its_tiles(tiled):
    store, images = tiled
    for index, image in enumerate(images):
        np.testing.assert_array_equal(store.read_image("depth", index, image.shape), image)
        padded = store.read_image("depth", index)
        assert padded.shape == (200, 300)
        assert np.isnan(padded).sum() == padded.size - image.size


def test_tiles_that_no_image_reaches_are_not_written(tiled):
    store, _ = tiled
    files = {path.relative_to(store.path).as_posix() for path in store.path.rglob("depth/c/**/*") if path.is_file()}
    assert files == {
        *(f"depth/c/0/{row}/0" for row in range(4)),  # 200 rows
        *(f"depth/c/0/0/{column}" for column in range(1, 5)),  # 300 columns
        "depth/c/1/0/0",
        "depth/c/2/0/0",
    }


def test_a_missing_tile_is_damage_and_not_padding(tiled):
    from data.errors import DamagedShardError

    store, images = tiled
    (store.path / "depth/c/0/2/0").unlink()
    assert not store.is_complete()
    with pytest.raises(DamagedShardError, match="shard 0 of array 'depth'"):
        store.read_image("depth", 1, images[1].shape)


def test_xarray_reads_tiles(tiled):
    xarray = pytest.importorskip("xarray")
    store, images = tiled
    found = xarray.open_zarr(store.path).depth.sel(image_id="b").values
    np.testing.assert_array_equal(found[:200, :3], images[1])
