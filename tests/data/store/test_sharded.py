import errno
import json
import pickle
import random
import resource
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import xarray
import zarr

from data.errors import DamagedArtifactError, DamagedShardError, StoreError
from data.store import artifact
from data.store.artifact import MARKER
from data.store.sharded import ShardedStore
from data.store.tiles import ArraySpec

IDS = [f"scene/{number:06d}" for number in range(10)]
ARRAYS = {
    "cam": ArraySpec(("slot", "y", "x"), (2, 6, 8), "float16", float("nan"), {"units": "1"}),
    "label": ArraySpec(("y", "x"), (6, 8), "uint8", 255, {"long_name": "label map"}),
    "count": ArraySpec((), (), "uint16", 65535, {}),
}
COORDS = {"class_name": (("class",), np.array(["background", "can"]))}


def make(path) -> ShardedStore:
    return ShardedStore(path).create(IDS, ARRAYS, {"stage": "Test"}, shard_size=4, coords=COORDS)


def values(shard, count):
    rng = np.random.default_rng(shard)
    return {
        "cam": rng.random((count, 2, 6, 8)).astype(np.float16),
        "label": rng.integers(0, 3, (count, 6, 8)).astype(np.uint8),
        "count": rng.integers(0, 500, count).astype(np.uint16),
    }


def fill(store):
    for shard in store.missing_shards():
        store.write_shard(shard, values(shard, len(store.images_of(shard))))
    store.finish({"Above": "digest"})
    return store


def read_shard(path, array, shard):
    store = ShardedStore(path)
    for index in store.images_of(shard):
        store.read_image(array, index)


def bytes_of(path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_what_is_written_is_read(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    assert store.is_complete()
    assert store.image_ids == IDS
    again = ShardedStore(store.path)
    for number in range(10):
        expected = values(number // 4, len(store.images_of(number // 4)))
        for name in ARRAYS:
            np.testing.assert_array_equal(again.read_image(name, number), expected[name][number % 4])


def test_an_image_is_read_without_padding_in_cells_of_the_arrays_stride(tmp_path):
    specs = {
        "label": ArraySpec(("y", "x"), (6, 8), "uint8", 255, {}),
        "cam": ArraySpec(("slot", "y", "x"), (2, 2, 2), "float32", float("nan"), {}, stride=4),
    }
    store = ShardedStore(tmp_path / "a.zarr").create(["a"], specs, {}, shard_size=4)
    label, cam = np.arange(15).reshape(3, 5), np.arange(4.0).reshape(2, 1, 2)
    store.write_shard(0, {"label": [label], "cam": [cam]})
    image = store.image(0, (3, 5))
    assert np.array_equal(image.read("label"), label)
    assert np.array_equal(image.read("cam"), cam)
    assert store.read_image("label", 0).shape == (6, 8)
    assert store.read_image("cam", 0, (5, 3)).shape == (2, 2, 1)


def test_what_is_sent_to_a_worker_is_the_path_alone(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    store.read_image("label", 3)
    sent = pickle.loads(pickle.dumps(store))
    assert vars(sent) == {"path": store.path}
    assert np.array_equal(sent.read_image("label", 3), store.read_image("label", 3))


def test_few_files_one_a_shard_and_array(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    shards = [path for path in store.files() if path.name != "zarr.json" and "class_name" not in str(path)]
    assert len([path for path in shards if "image_id" not in str(path)]) == 3 * len(ARRAYS)


def test_xarray_shows_a_labelled_dataset(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = xarray.open_zarr(store.path)
        assert dataset.cam.dims == ("image_id", "slot", "y", "x")
        assert dataset.cam.attrs["units"] == "1"
        assert dataset.attrs["stage"] == "Test"
        np.testing.assert_array_equal(dataset.label.sel(image_id=IDS[5]).values, store.read_image("label", 5))
    assert dataset.class_name.values.tolist() == ["background", "can"]
    assert dataset.label.dtype == np.uint8


def test_smaller_values_are_padded_with_the_fill_value(tmp_path):
    store = make(tmp_path / "a.zarr")
    store.write_shard(
        0, {**values(0, 4), "label": np.zeros((4, 3, 5), np.uint8), "cam": np.ones((4, 1, 3, 8), np.float16)}
    )
    assert (store.read_image("label", 0)[:3, :5] == 0).all()
    assert (store.read_image("label", 0)[3:] == 255).all()
    assert np.isnan(store.read_image("cam", 0)[1]).all()


def test_a_shard_of_nothing_but_fill_values_is_still_a_file(tmp_path):
    store = make(tmp_path / "a.zarr")
    store.write_shard(0, {**values(0, 4), "label": np.full((4, 6, 8), 255, np.uint8)})
    assert store.missing_shards() == [1, 2]
    assert (store.read_image("label", 0) == 255).all()


def test_interrupted_and_undisturbed_writing_end_with_the_same_bytes(tmp_path):
    whole = fill(make(tmp_path / "a.zarr"))
    part = make(tmp_path / "b.zarr")
    part.write_shard(1, values(1, 4))
    (part.path / "label" / "c" / "9.partial").write_bytes(b"cut")  # what a killed writer leaves
    assert not part.is_complete()
    again = make(tmp_path / "b.zarr")
    assert again.missing_shards() == [0, 2]
    fill(again)
    assert bytes_of(whole.path) == bytes_of(again.path)


def test_killed_while_the_layout_was_written(tmp_path):
    whole = make(tmp_path / "a.zarr")
    broken = tmp_path / "b.zarr"
    shutil.copytree(whole.path, broken)
    (broken / "zarr.json").unlink()  # it comes last
    shutil.rmtree(broken / "label")
    (tmp_path / "b.zarr.partial").mkdir()
    assert bytes_of(make(broken).path) == bytes_of(whole.path)


def test_a_shard_is_written_whole_or_not_at_all(tmp_path):
    store = make(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="shard 0 has 4 images"):
        store.write_shard(0, values(0, 3))
    with pytest.raises(ValueError, match="a shard has the arrays"):
        store.write_shard(0, {"label": np.zeros((4, 6, 8), np.uint8)})


@pytest.mark.parametrize("array", ["cam", "label", "count"])
def test_every_flipped_byte_is_found_and_named(tmp_path, array):
    store = fill(make(tmp_path / "a.zarr"))
    file = store.path / array / "c" / "/".join(["1", *["0"] * len(ARRAYS[array].shape)])
    good = file.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.choice(len(good), min(25, len(good)), replace=False):
        spoilt = bytearray(good)
        spoilt[position] ^= 1 << rng.integers(8)
        file.write_bytes(spoilt)
        with pytest.raises(DamagedShardError, match=f"a.zarr: shard 1 of array '{array}' is damaged"):
            read_shard(store.path, array, 1)
        read_shard(store.path, array, 0)
        assert store.damaged_files() == [file]
    file.write_bytes(good)
    assert store.damaged_files() == []


def test_a_missing_shard_is_an_error_and_not_zeros(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    (store.path / "label" / "c" / "2" / "0" / "0").unlink()
    assert not store.is_complete()
    with pytest.raises(DamagedShardError, match="shard 2"):
        store.read_image("label", 9)


def test_a_damaged_shard_alone_is_redone_with_the_same_bytes(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    before = bytes_of(store.path)
    store.reopen_shard(1)
    assert not store.is_complete()
    assert store.missing_shards() == [1]
    fill(store)
    assert bytes_of(store.path) == before


def test_the_error_survives_the_way_from_a_worker():
    import pickle

    error = DamagedShardError("a.zarr", 3, "label", "checksum")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.artifact, again.shard) == (str(error), "a.zarr", 3)


def test_the_marker_lists_every_file(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    listed = set(json.loads((store.path / MARKER).read_text())["files"])
    assert listed == {path.relative_to(store.path).as_posix() for path in store.files()}


def test_full_disk_is_one_clear_line(tmp_path, monkeypatch):
    store = make(tmp_path / "a.zarr")

    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    with pytest.raises(StoreError, match="cannot be written .No space left on device.; free space"):
        store.write_shard(0, values(0, 4))


def test_a_write_that_the_system_cuts_short_leaves_no_shard(tmp_path):
    """The file-size limit of a process is the nearest to a full disk that needs no rights."""
    make(tmp_path / "a.zarr")
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import numpy as np
from data.errors import StoreError
from data.store.sharded import ShardedStore
store = ShardedStore({str(tmp_path / "a.zarr")!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
rng = np.random.default_rng(0)
try:
    store.write_shard(0, {{"cam": rng.random((4, 2, 6, 8)).astype("float16"),
                           "label": np.zeros((4, 6, 8), "uint8"), "count": np.zeros(4, "uint16")}})
except StoreError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot be written (File too large)" in result.stdout
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 200
    assert 0 in ShardedStore(tmp_path / "a.zarr").missing_shards()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another folder with --artifacts"):
        make(tmp_path / "file" / "a.zarr")


def forget():
    """As in a new process: nothing was compared with a marker yet."""
    for known in (artifact._CHECKED, artifact._RECORDED, artifact._SOUND):
        known.clear()


def test_a_deleted_coordinate_is_noticed_and_comes_back(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    before = bytes_of(store.path)
    for name in ("image_id/c/0", "class_name/c/0"):
        (store.path / name).unlink()
        forget()
        assert not ShardedStore(store.path).is_complete()
        with pytest.raises(DamagedArtifactError, match=f"{name} is damaged or missing"):
            _ = ShardedStore(store.path).image_ids
        ShardedStore(store.path).reopen()
        fill(make(store.path))
        assert bytes_of(store.path) == before


def test_no_flipped_bit_in_the_metadata_is_believed(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    expected = store.read_image("label", 5)
    rng = random.Random(0)
    for path in sorted(store.path.rglob("zarr.json")):
        content = path.read_bytes()
        for _ in range(40):
            damaged = bytearray(content)
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            path.write_bytes(damaged)
            forget()
            with pytest.raises(DamagedArtifactError, match="zarr.json is damaged"):
                ShardedStore(store.path).read_image("label", 5)
        path.write_bytes(content)
    forget()
    np.testing.assert_array_equal(ShardedStore(store.path).read_image("label", 5), expected)


def test_a_cut_shard_is_not_kept_when_the_artifact_is_reopened(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    before = bytes_of(store.path)
    shard = store.path / "label/c/1/0/0"
    shard.write_bytes(shard.read_bytes()[:20])
    again = ShardedStore(store.path)
    again.reopen()
    assert make(store.path).missing_shards() == [1]
    fill(make(store.path))
    assert bytes_of(store.path) == before


def test_what_an_interrupted_run_left_is_decoded_before_it_is_kept(tmp_path):
    store = make(tmp_path / "a.zarr")
    for shard in (0, 1):
        store.write_shard(shard, values(shard, 4))
    path = store.path / "cam/c/1/0/0/0"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    (store.path / "label/zarr.json").write_text("{}")
    assert make(store.path).missing_shards() == [1, 2]


def test_exchanged_shards_are_noticed(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    shutil.copy(store.path / "count/c/0", store.path / "count/c/1")
    forget()
    assert ShardedStore(store.path).is_complete()  # they have the same size
    with pytest.raises(DamagedShardError, match="shard 1 of array 'count' .*its hash is not the recorded one"):
        ShardedStore(store.path).read_image("count", 4)


def test_an_artifact_with_a_missing_shard_cannot_be_finished(tmp_path):
    store = make(tmp_path / "a.zarr")
    store.write_shard(0, values(0, 4))
    with pytest.raises(DamagedShardError, match="shard 1"):
        store.finish({})
    assert not (store.path / MARKER).exists()


def test_a_store_without_images(tmp_path):
    store = ShardedStore(tmp_path / "a.zarr").create([], ARRAYS, {}, shard_size=1, coords=COORDS)
    assert store.missing_shards() == []
    store.finish({})
    assert ShardedStore(store.path).image_ids == []


def test_a_shard_that_is_damaged_while_its_images_are_read_in_a_row_is_noticed(tmp_path):
    store = fill(make(tmp_path / "a.zarr"))
    again = ShardedStore(store.path)
    for index in (0, 1):
        again.read_image("label", index)
    (store.path / "label" / "c" / "0" / "0" / "0").write_bytes(b"other")
    with pytest.raises(DamagedShardError):
        again.read_image("label", 2)


def test_a_shard_that_is_written_again_is_read_again(tmp_path):
    store = make(tmp_path / "a.zarr")
    store.write_shard(0, values(0, 4))
    for index in (0, 1):
        store.read_image("label", index)
    store.write_shard(0, values(5, 4))
    np.testing.assert_array_equal(store.read_image("label", 2), values(5, 4)["label"][2])
