"""What the page shows for a wish: only what is on it is read and sent."""

import time
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest

from data.errors import SettingError
from data.sample import EVALUATION, TRAIN
from pipeline.report.colours import colour_labels
from pipeline.view.page import Wish, address, number_of, page, wished_picture
from pipeline.view.panels import Changes, Side, difference, picture, shown_panels, sides, values
from pipeline.view.scoring import Scorer

TITLES = ["image", "depth", "CAM", "CAM seed", "superpixels", "initial seed", "pseudo-label", "ground truth"]
CHANGED = Changes(0.4, {"alpha": 0.2, "gamma": 0.1})


def wished(run, text):
    """The picture behind an address."""
    parts = urlsplit(text)
    _, _, split, place = parts.path.split("/")
    return wished_picture(run, split, int(place), dict(parse_qsl(parts.query)))


def test_a_row_has_the_pictures_of_all_stages(run):
    found = page(run, Scorer(), Wish(TRAIN))
    assert [title for title, _, _ in found.rows[0].panels] == TITLES
    found = page(run, Scorer(), Wish(EVALUATION))
    assert [title for title, _, _ in found.rows[0].panels] == ["image", "prediction", "ground truth"]
    image = run.image(TRAIN, 0)
    assert shown_panels(image, CHANGED) == [*TITLES[:6], "seed, changed", *TITLES[6:]]
    for title in shown_panels(image, CHANGED):
        drawn = wished(run, address(image, Side(title), CHANGED))
        assert (drawn.shape, drawn.dtype) == ((144, 192, 3), np.uint8)
        assert np.array_equal(drawn, picture(image, Side(title), CHANGED))


def test_a_damaged_shard_of_seeds_leaves_the_rest_of_the_page(finished, in_process, viewed):
    run = viewed(finished)
    shard = run.stages[TRAIN]["seeds"].artifact.path / "seed" / "c" / "0" / "0" / "0"
    shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])
    first, *_, last = page(run, Scorer(), Wish(TRAIN)).rows
    captions = [{title: text for title, _, text in row.panels} for row in (first, last)]
    assert captions[0]["initial seed"] == "cannot be read"
    assert "%" in captions[0]["CAM seed"]
    assert "%" in captions[1]["initial seed"]


def test_changes_are_computed_by_the_functions_of_the_stages(run):
    image = run.image(TRAIN, 4)
    assert np.array_equal(values(image, Side("seed, changed"), CHANGED), run.seed(image, **CHANGED.seed))
    low, high = (values(image, Side("CAM seed"), Changes(threshold)) for threshold in (0.1, 0.8))
    assert set(np.unique(low)) <= {0, *image.sample.tags}
    assert (low > 0).sum() > (high > 0).sum()


def test_pages_and_the_rows_on_them(run):
    seen = []
    for number in (1, 2, 3):
        found = page(run, Scorer(), Wish(TRAIN, page=number, size=4))
        assert (found.number, found.pages, found.note) == (number, 3, "10 of 10 images")
        seen += [row.image_id for row in found.rows]
    assert seen == run.samples(TRAIN).ids


def test_only_the_images_of_the_page_are_read(run, monkeypatch):
    asked, image = [], run.image
    monkeypatch.setattr(run, "image", lambda split, place: asked.append(place) or image(split, place))
    page(run, Scorer(), Wish(TRAIN, page=2, size=3))
    assert asked == [3, 4, 5]


def test_a_sorted_page_is_in_the_order_of_its_numbers(run):
    scorer, wish = Scorer(), Wish(EVALUATION, sort="iou")
    while (found := page(run, scorer, wish)).is_working:
        time.sleep(0.01)
    numbers = [float(row.number.removesuffix(" %")) for row in found.rows]
    assert numbers == sorted(numbers)
    assert len(numbers) == 5
    assert found.note == "5 of 5 images"
    down = page(run, scorer, Wish(EVALUATION, sort="iou", descending=True))
    assert [row.image_id for row in down.rows] == [row.image_id for row in found.rows][::-1]


def test_a_class_and_a_text_choose_images(run):
    number = run.samples(TRAIN)[0].tags[0]
    found = page(run, Scorer(), Wish(TRAIN, class_number=number, size=20))
    expected = [sample.image_id for sample in run.samples(TRAIN) if number in sample.tags]
    assert [row.image_id for row in found.rows] == expected
    assert page(run, Scorer(), Wish(TRAIN, text="no such id")).rows == []


def test_two_sides_are_compared(run):
    pair = (Side("initial seed"), Side("pseudo-label"))
    assert {*pair, Side("depth")} <= set(sides(run, TRAIN))
    found = page(run, Scorer(), Wish(TRAIN, pair=pair))
    title, where, _ = found.rows[0].panels[-1]
    assert title == "red: A and B differ"
    drawn, image = wished(run, where), run.image(TRAIN, 0)
    seed, label = (values(image, side, Changes()) for side in pair)
    red = (drawn == (230, 30, 30)).all(2)
    assert np.array_equal(red, (seed != label) & (seed != 65535) & (label != 65535))
    heat = difference(image, Side("CAM"), Side("CAM"), Changes())
    assert np.array_equal(heat, difference(image, Side("depth"), Side("depth"), Changes()))  # no difference anywhere
    assert page(run, Scorer(), Wish(TRAIN, pair=(Side("depth"), Side("CAM")))).rows[0].panels[-1][0] == "ground truth"


def test_a_panel_of_labels_has_the_colours_of_the_report(run):
    image = run.image(EVALUATION, 0)
    labels = image.stored("predictions").read("label")
    plain = values(image, Side("image"), Changes())
    assert np.array_equal(
        picture(image, Side("prediction"), Changes()), colour_labels(labels, len(run.dataset.class_names), plain)
    )


@pytest.mark.parametrize("query", [{}, {"side": "nothing|"}, {"side": "depth"}, {"side": "instances|"}])
def test_an_address_of_nothing_is_refused(run, query):
    with pytest.raises(SettingError, match="there is no panel|no complete artifact"):
        wished_picture(run, TRAIN, 0, query)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", None])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(SettingError, match="give a number"):
        number_of("alpha", text)
