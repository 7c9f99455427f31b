"""Addresses of the server: pictures, errors as pictures, and who is answered. Nothing is written."""

import io

import numpy as np
import pytest
from PIL import Image
from support import contents

from data.errors import SettingError
from data.sample import TRAIN
from pipeline.view.panels import Changes, Side, picture
from pipeline.view.server import encoded, error_picture, make_server

pytest.importorskip("dash", reason="dash is not installed (extra view)")


@pytest.fixture
def client(run):
    server = make_server(run, "127.0.0.1", 0)
    yield server.app.test_client()
    server.server_close()


def test_label_maps_are_sent_without_loss(run, client):
    answer = client.get("/picture/train/0", query_string={"side": str(Side("superpixels"))})
    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")  # over the grey image
    assert answer.headers["Cache-Control"] == "no-store"
    labels = np.random.default_rng(0).integers(0, 200, (30, 40, 1), np.uint8).repeat(3, 2)
    content, kind = encoded(labels)
    assert kind == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), labels)


def test_a_very_wide_picture_is_made_smaller():
    content, _ = encoded(np.zeros((30, 6000, 3), np.uint8))
    assert Image.open(io.BytesIO(content)).size == (2000, 10)


def test_a_damaged_shard_is_a_picture_of_the_error(finished, viewed):
    run = viewed(finished)
    for file in (run.stages[TRAIN]["pseudo_labels"].artifact.path / "label" / "c" / "0").rglob("*"):
        if file.is_file():
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 255
            file.write_bytes(content)
    server = make_server(run, "127.0.0.1", 0)
    answer = server.app.test_client().get("/picture/train/0", query_string={"side": "pseudo-label|"})
    server.server_close()
    assert (answer.status_code, answer.mimetype) == (400, "image/svg+xml")
    assert b"damaged" in answer.data


def test_names_in_an_error_are_escaped(client):
    assert b"<script>" not in error_picture("<script>alert(1)</script>")
    answer = client.get("/picture/train/0", query_string={"side": "<script>|"})
    assert answer.status_code == 400
    assert b"<script>" not in answer.data


def test_only_requests_to_this_machine_are_answered(client):
    assert client.get("/", headers={"Host": "127.0.0.1:8050"}).status_code == 200
    assert client.get("/", headers={"Host": "localhost:8050"}).status_code == 200
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_a_port_that_is_taken_is_one_clear_line(run):
    first = make_server(run, "127.0.0.1", 0)
    with pytest.raises(SettingError, match="choose another --port"):
        make_server(run, "127.0.0.1", first.server_port)
    first.server_close()


def test_the_page_writes_nothing(run, client, finished_once):
    before = contents(finished_once.artifacts)
    for side in ("image|", "CAM seed|", "seed, changed|"):
        query = {"side": side, "alpha": 0.2, "gamma": 0.1, "threshold": 0.5}
        assert client.get("/picture/train/3", query_string=query).status_code == 200
    assert contents(finished_once.artifacts) == before
    assert picture(run.image(TRAIN, 3), Side("image"), Changes()).shape == (144, 192, 3)


@pytest.mark.parametrize("port", [-1, 99999])
def test_a_port_that_is_none_is_one_line(run, port):
    with pytest.raises(SettingError, match=f"--port is {port}; choose one of 0 to 65535"):
        make_server(run, "127.0.0.1", port)
