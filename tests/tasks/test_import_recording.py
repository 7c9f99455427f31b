import csv
import json
import os
import shutil

import numpy as np
import pytest
from bags import COLOUR, DEPTH, SECOND, Bag, depth_header, depth_of, frame, packed
from PIL import Image

from data.errors import DatasetError, DepthseedError, ImageError, SettingError
from data.readers.folder import read_folder
from data.recordings.project_folder import ProjectFolder
from tasks.import_recording import ImportRecording
from tasks.runtime.luigi_seam import forget_instances

pytest.importorskip("rosbags")

MS = SECOND // 1000


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sync", lambda: None)  # it waits for the whole machine
    return tmp_path / "set"


def imported(root, path, **settings):
    forget_instances()
    task = ImportRecording(recording=str(path), data_root=str(root), **settings)
    if not task.complete():
        task.run()
    assert task.complete()
    return task


def pixels(path):
    return np.asarray(Image.open(path))


def frames(root, folder="images"):
    return sorted(path.name for path in (root / folder).iterdir())


def table_of(root):
    return list(csv.DictReader((root / "labels.csv").read_text().splitlines()))


def five_pairs(kind="sqlite3"):
    bag = Bag(kind)
    for number in range(5):
        bag.pair(number, SECOND + number * 100 * MS, apart=3 * MS)
    return bag


@pytest.mark.parametrize("kind", ["sqlite3", "mcap", "ros1"])
def test_a_bag_becomes_a_data_set(kind, root, tmp_path):
    bag = five_pairs(kind)
    bag.camera_info(SECOND, [600, 0, 4, 0, 610, 3, 0, 0, 1])
    imported(root, bag.write(tmp_path), tags="plate mug")
    index = read_folder(root)
    assert [sample.image_id for sample in index.samples] == [f"train/kitchen@{n:06d}" for n in range(5)]
    assert index.class_names == ("background", "mug", "plate")
    assert {sample.tags for sample in index.samples} == {(1, 2)}
    assert index.has_depth
    for number, sample in enumerate(index.samples):
        assert np.array_equal(pixels(sample.image), frame(number))
        assert np.array_equal(pixels(sample.depth), depth_of(number))
    known = json.loads((root / "intrinsics/kitchen.json").read_text())
    assert known["intrinsic_matrix"] == [600, 0, 0, 0, 610, 0, 4, 3, 1]  # by columns
    assert (known["width"], known["height"], known["distortion_model"]) == (8, 6, "plumb_bob")


def test_a_single_file_of_a_rosbag2_is_read_too(root, tmp_path):
    path = five_pairs("mcap").write(tmp_path)
    imported(root, next(path.glob("*.mcap")), tags="mug", name="one")
    assert len(read_folder(root).samples) == 5


def test_compressed_images_are_read_and_a_jpeg_is_kept_as_it_is(root, tmp_path):
    bag = Bag("sqlite3")
    jpeg, metres = packed(frame(0), "JPEG"), depth_of(0) / 1000
    factor, offset = 2.0, -0.5  # of the inverse depth: depth = factor / (raw - offset)
    inverse = np.where(metres > 0, factor / np.where(metres > 0, metres, 1) + offset, 0)
    for number in range(2):
        bag.compressed(number * SECOND, jpeg, "rgb8; jpeg compressed bgr8", f"{COLOUR}/compressed")
    bag.compressed(0, depth_header() + packed(depth_of(0), "PNG"), "16UC1; compressedDepth png", DEPTH)
    content = depth_header(factor, offset) + packed(np.rint(inverse).astype(np.uint16), "PNG")
    bag.compressed(SECOND, content, "32FC1; compressedDepth png", DEPTH)
    imported(root, bag.write(tmp_path))
    assert (root / "images/kitchen@000000.jpg").read_bytes() == jpeg
    assert np.array_equal(pixels(root / "depth/kitchen@000000.png"), depth_of(0))
    expected = np.where(metres > 0, 1000 * factor / (np.rint(inverse) - offset), 0)
    assert np.array_equal(pixels(root / "depth/kitchen@000001.png"), np.rint(expected))


def test_every_nth_frame_and_motion(root, tmp_path):
    bag = Bag("sqlite3")
    for number, shown in enumerate([0, 0, 0, 1, 1, 2, 2]):
        bag.image(number * SECOND, frame(shown), "rgb8", COLOUR)
        bag.image(number * SECOND, depth_of(number), "16UC1", DEPTH)
    path = bag.write(tmp_path)
    imported(root, path, every=2, tags="mug")
    assert frames(root) == [f"kitchen@{n:06d}.png" for n in (0, 2, 4, 6)]
    imported(root, path, motion=5.0, tags="mug")
    assert frames(root) == frames(root, "depth") == [f"kitchen@{n:06d}.png" for n in (0, 3, 5)]
    assert [row["image"] for row in table_of(root)] == frames(root)


def test_depth_that_comes_late_and_apart_in_time(root, tmp_path):
    bag = Bag("sqlite3")
    for number in range(6):
        bag.image(SECOND + number * 100 * MS, frame(number), "rgb8", COLOUR)
        late = SECOND if number else 0
        apart = 30 * MS if number == 4 else 3 * MS
        bag.image(SECOND + number * 100 * MS + apart, depth_of(number), "16UC1", DEPTH, late=late)
    path = bag.write(tmp_path)
    imported(root, path)
    assert frames(root) == [f"kitchen@{n:06d}.png" for n in (0, 1, 2, 3, 5)]
    for number in (0, 1, 2, 3, 5):
        assert np.array_equal(pixels(root / f"depth/kitchen@{number:06d}.png"), depth_of(number))


def test_a_clock_that_goes_back_is_told(root, tmp_path, caplog):
    bag = Bag("sqlite3")
    for number in range(4):  # a simulation that begins anew
        bag.image(SECOND * (10 + number % 2 * 2), frame(number), "rgb8", COLOUR, late=number * 10 * SECOND)
        bag.image(SECOND * (10 + number % 2 * 2), depth_of(number), "16UC1", DEPTH, late=number * 10 * SECOND)
    imported(root, bag.write(tmp_path))
    told = [record.getMessage() for record in caplog.records if "the clock" in record.getMessage()]
    assert [" ".join(line.split()[2:9]) for line in told] == [
        "clock of the colour images goes back", "clock of the depth images goes back"
    ]  # fmt: skip


def test_the_second_run_does_nothing_and_two_recordings_share_a_set(root, tmp_path):
    first = five_pairs().write(tmp_path, "first")
    imported(root, first, tags="mug")
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    imported(root, first, tags="mug")
    imported(root, five_pairs("ros1").write(tmp_path, "second"), tags="plate", split="evaluation")
    table = root / "labels.csv"
    assert {p: p.stat().st_mtime_ns for p in stamps if p.name != table.name} == {
        p: time for p, time in stamps.items() if p != table
    }
    index = read_folder(root)
    assert [len(index.split(split)) for split in ("train", "evaluation")] == [5, 5]
    (root / "images/first@000002.png").unlink()  # it is imported again
    imported(root, first, tags="mug")
    assert len(read_folder(root).samples) == 10


def test_another_recording_of_the_same_name_replaces_nothing(root, tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
    first, second = (five_pairs("ros1").write(tmp_path / place) for place in ("a", "b"))
    os.utime(second, ns=(0, 0))
    assert first.name == second.name
    imported(root, first, tags="mug")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    line = f"frames of another recording 'kitchen' .{first.resolve()}.; give this one another name with --name, or"
    with pytest.raises(SettingError, match=line):
        imported(root, second, tags="plate")
    assert {path: path.read_bytes() for path in before} == before
    imported(root, second, tags="plate", name="other")
    assert len(read_folder(root).samples) == 10
    imported(root, second, tags="cup", name="kitchen")
    assert {row["tags"] for row in table_of(root)} == {"cup", "plate"}


def test_a_recording_that_was_moved_or_has_changed_in_its_place_is_the_same(root, tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
    path = five_pairs("ros1").write(tmp_path / "a")
    imported(root, path, tags="mug")
    os.utime(path, ns=(0, 0))
    imported(root, path, tags="cup")
    moved = path.rename(tmp_path / "b" / path.name)
    assert ImportRecording(recording=str(moved), data_root=str(root), tags="cup").complete()
    imported(root, moved, tags="plate")
    assert {row["tags"] for row in table_of(root)} == {"plate"}


def test_frames_of_which_nobody_knows_the_place_are_not_replaced(root, tmp_path):
    path = five_pairs("ros1").write(tmp_path)
    imported(root, path)
    marker = root / ".imported/kitchen.json"
    known = json.loads(marker.read_bytes())
    del known["place"]
    marker.write_text(json.dumps(known))
    assert imported(root, path, every=2).folder.known()["place"] == str(path.resolve())
    marker.write_text(json.dumps(known))
    os.utime(path, ns=(0, 0))
    with pytest.raises(SettingError, match="another recording 'kitchen' .imported before its place was kept."):
        imported(root, path)


def test_tags_that_were_given_by_hand_stay(root, tmp_path):
    path = five_pairs().write(tmp_path)
    root.mkdir()
    (root / "labels.csv").write_text("image,tags\nother.png,cup\nkitchen@000002.png,mug\nkitchen@000003.png,cup\n")
    imported(root, path, every=2)
    rows = table_of(root)
    assert [(row["image"], row["tags"]) for row in rows] == [("other.png", "cup"), ("kitchen@000002.png", "mug")]


def test_an_interrupted_import_leaves_nothing_half_read(root, tmp_path, monkeypatch):
    path = five_pairs().write(tmp_path)
    imported(root, path, every=2, tags="mug")
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file() and ".locks" not in file.parts}
    whole = ProjectFolder.add

    def killed(self, number, *args):
        if number == 3:
            raise KeyboardInterrupt
        whole(self, number, *args)

    monkeypatch.setattr(ProjectFolder, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        imported(root, path, tags="mug")
    assert {file: file.read_bytes() for file in before} == before
    assert len(read_folder(root).samples) == 3
    monkeypatch.setattr(ProjectFolder, "add", whole)
    imported(root, path, tags="mug")
    assert len(read_folder(root).samples) == 5
    assert not (root / ".importing").exists()


def two_colours(bag):
    for topic in ("/left/image", "/right/image"):
        bag.image(0, frame(0), "bgr8", topic)
    bag.image(0, depth_of(0), "16UC1", DEPTH)


def colour_alone(bag):
    bag.image(0, frame(0), "rgb8", COLOUR)
    bag.image(0, frame(0)[..., 0], "mono8", "/infrared")


def other_size(bag):
    bag.image(0, frame(0), "rgb8", COLOUR)
    bag.image(0, depth_of(0, (5, 8)), "16UC1", DEPTH)


def cut_jpeg(bag):
    bag.compressed(0, packed(frame(0, (60, 80)), "JPEG")[:900], "jpeg", COLOUR)
    bag.image(0, depth_of(0, (60, 80)), "16UC1", DEPTH)


def wrong_step(bag):
    bag.image(0, frame(0), "rgb8", COLOUR)
    bag.send(
        DEPTH, "Image", 0, height=6, width=8, encoding="16UC1", is_bigendian=0, step=16, data=np.zeros(90, np.uint8)
    )


def too_far(bag):
    bag.pair(0, SECOND, apart=500 * MS)


def no_depth_measured(bag):
    bag.image(0, frame(0), "rgb8", COLOUR)
    bag.image(0, np.zeros((6, 8), np.uint16), "16UC1", DEPTH)


@pytest.mark.parametrize(
    ("fill", "error", "message"),
    [
        (two_colours, SettingError, "/left/image, /right/image could be the colour; choose one with --colour"),
        (colour_alone, DatasetError, r"has no depth topic .*/infrared .mono8.*--depth none to import colour alone"),
        (other_size, DatasetError, "at 0.000 s: depth is 8x5, colour is 8x6; choose the depth that is registered"),
        (cut_jpeg, ImageError, "color/image_raw at 0.000 s: cannot be decoded .*leave such images out with --broken"),
        (wrong_step, ImageError, "depth/image_raw at 0.000 s: 8x6 pixels of '16UC1' in rows of 16 bytes do not fit"),
        (too_far, DatasetError, "no colour image has depth within 0.02 s, the nearest are 0.500 s apart"),
        (no_depth_measured, DatasetError, "no frame can be used"),
    ],
)
def test_what_cannot_be_imported_is_one_line_and_leaves_no_image(fill, error, message, root, tmp_path):
    bag = Bag("sqlite3")
    fill(bag)
    with pytest.raises(error, match=message):
        imported(root, bag.write(tmp_path))
    assert not (root / "images").exists()
    assert not (root / "labels.csv").exists()


def test_broken_messages_are_left_out_if_the_user_says_so(root, tmp_path):
    bag = Bag("mcap")
    cut_jpeg(bag)
    bag.compressed(SECOND, packed(frame(1, (60, 80)), "JPEG"), "jpeg", COLOUR)
    bag.image(SECOND, depth_of(1, (60, 80)), "16UC1", DEPTH)
    topic, kind, time, raw = bag.sent[-1]
    bag.sent += [(topic, kind, 2 * SECOND, raw[: len(raw) // 2]), (topic, kind, 3 * SECOND, raw[:3])]
    path = bag.write(tmp_path)
    with pytest.raises(ImageError, match=r"at 2.000 s: the message is damaged; leave such messages out with --broken"):
        imported(root, path)
    imported(root, path, broken="skip")
    assert frames(root) == ["kitchen@000001.jpg"]


def test_colour_alone_and_a_chosen_topic(root, tmp_path):
    bag = Bag("ros1")
    two_colours(bag)
    imported(root, bag.write(tmp_path), colour="/right/image", depth="none", tags="mug")
    assert np.array_equal(pixels(root / "images/kitchen@000000.png"), frame(0)[..., ::-1])  # bgr8
    assert not read_folder(root).has_depth


@pytest.mark.parametrize("kind", ["sqlite3", "mcap", "ros1"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_a_cut_bag_is_one_line_and_nothing_is_imported(kind, share, root, tmp_path):
    bag = Bag(kind)
    for number in range(40):
        bag.pair(number, SECOND + number * 100 * MS)
    path = bag.write(tmp_path)
    file = path if path.is_file() else next(file for file in path.iterdir() if file.suffix in (".db3", ".mcap"))
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DepthseedError) as error:
        imported(root, path)
    assert str(error.value).startswith(str(path))
    assert not (root / "images").exists()


@pytest.fixture
def tum(tmp_path):
    folder = tmp_path / "freiburg"
    for name in ("rgb", "depth"):
        (folder / name).mkdir(parents=True)
    lists = {"rgb": ["# time file"], "depth": ["# time file"]}
    for number in range(3):
        Image.fromarray(frame(number)).save(folder / f"rgb/{number}.png")
        Image.fromarray(depth_of(number) * 5).save(folder / f"depth/{number}.png")
        lists["rgb"].append(f"130.{number}12345 rgb/{number}.png")
        lists["depth"].append(f"130.{number}13 depth/{number}.png")
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines))
    return folder


def test_tum_rgbd(tum, root):
    imported(root, tum, tags="mug")
    for number in range(3):
        assert np.array_equal(pixels(root / f"depth/freiburg@{number:06d}.png"), depth_of(number))  # 5000 a metre
        assert np.array_equal(pixels(root / f"images/freiburg@{number:06d}.png"), frame(number))
    imported(root, tum, depth="none", tags="mug")
    assert frames(root, "depth") == []


def test_tags_do_not_hide_the_images_in_folders_of_classes(tum, root):
    place = root / "images" / "dog" / "1.png"
    place.parent.mkdir(parents=True)
    Image.fromarray(frame(0)).save(place)
    with pytest.raises(DatasetError, match="one folder for each class; --tags would write labels.csv"):
        imported(root, tum, tags="mug")
    assert not (root / "labels.csv").exists()
    (root / "labels.csv").write_text("image,tags,split\ndog/1.png,dog,train\n")
    imported(root, tum, tags="mug")
    assert len((root / "labels.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize("inside", ["", "set/of/it"])
def test_a_recording_is_not_imported_into_its_own_folder(tum, inside):
    before = sorted(tum.rglob("*"))
    with pytest.raises(SettingError, match=r"freiburg.*: lies in the recording .*freiburg; name a folder outside of"):
        imported(tum / inside, tum)
    assert sorted(tum.rglob("*")) == before


def test_a_bag_or_a_folder_may_lie_in_the_folder_of_the_data_set(tum, root):
    root.mkdir()
    imported(root, tum.rename(root / tum.name))
    imported(root, five_pairs("ros1").write(root))
    assert len(frames(root)) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "rgb/1.png").unlink(), "rgb.txt: line 3 names rgb/1.png, which is missing"),
        (lambda f: (f / "rgb.txt").write_text("x rgb/1.png"), "rgb.txt: line 1 does not begin with a time in seconds"),
        (lambda f: (f / "depth.txt").unlink(), "has no depth; import colour alone with --depth none"),
        (lambda f: (f / "depth/1.png").write_bytes(b"\x89PNG"), "depth/1.png: is not an image"),
        (lambda f: shutil.rmtree(f), "there is no such recording"),
        (lambda f: (f / "rgb.txt").unlink(), "is no recording: neither a bag"),
    ],
)
def test_a_damaged_folder_is_one_line(tum, root, change, message):
    change(tum)
    with pytest.raises(DepthseedError, match=message):
        imported(root, tum)


def test_frames_of_open3d_are_in_the_order_of_their_numbers(root, tmp_path):
    (tmp_path / "recorder" / "color").mkdir(parents=True)
    for number in (1, 2, 10):
        Image.fromarray(frame(number)).save(tmp_path / f"recorder/color/{number}.png")
    imported(root, tmp_path / "recorder", depth="none")
    assert np.array_equal(pixels(root / "images/recorder@000002.png"), frame(10))


def test_open3d(root, tmp_path):
    folder = tmp_path / "recorder"
    for name in ("color", "depth"):
        (folder / name).mkdir(parents=True)
    for number in range(3):
        Image.fromarray(frame(number)).save(folder / f"color/{number:06d}.jpg")
        if number != 1:
            Image.fromarray(depth_of(number)).save(folder / f"depth/{number:06d}.png")
    matrix = [600.0, 0, 0, 0, 610, 0, 4, 3, 1]
    known = {"width": 8, "height": 6, "intrinsic_matrix": matrix}
    (folder / "camera_intrinsic.json").write_text(json.dumps(known))
    imported(root, folder)
    assert frames(root) == ["recorder@000000.jpg", "recorder@000002.jpg"]
    assert np.array_equal(pixels(root / "depth/recorder@000002.png"), depth_of(2))
    assert json.loads((root / "intrinsics/recorder.json").read_text()) == known
    (folder / "camera_intrinsic.json").write_text(json.dumps(known | {"depth_scale": 4000.0}))
    imported(root, folder)
    assert np.array_equal(pixels(root / "depth/recorder@000002.png"), np.rint(depth_of(2) / 4))
    (folder / "camera_intrinsic.json").write_text(json.dumps(known | {"depth_scale": 0}))
    with pytest.raises(DatasetError, match="perhaps depth_scale, counts a metre"):
        imported(root, folder)
    (folder / "camera_intrinsic.json").write_text("{}")
    with pytest.raises(DatasetError, match="camera_intrinsic.json: is not an intrinsic file of Open3D"):
        imported(root, folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tags": "mug,plate"}, "separate tags by a space"),
        ({"tags": "mug; plate"}, "separate tags by a space"),
        ({"tags": "mug|cup"}, "are no tags"),
        ({"tags": "- mug"}, "are no tags"),
        ({"name": "a/b"}, "cannot be the name of a recording"),
        ({"every": 0}, "--ImportRecording-every is 0"),
    ],
)
def test_wrong_settings(tum, root, settings, message):
    with pytest.raises(SettingError, match=message):
        imported(root, tum, **settings)


def test_without_the_library_the_line_says_what_to_install(root, tmp_path, monkeypatch):
    path = five_pairs().write(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "rosbags.highlevel", None)
    with pytest.raises(SettingError, match="pip install rosbags"):
        imported(root, path)
