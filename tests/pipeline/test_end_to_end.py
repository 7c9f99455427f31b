"""The real command line on a tiny set: everything once, then nothing; one parameter; damage; two runs."""

import json
import re
import shutil
import warnings
from pathlib import Path

import pytest
import xarray
from support import CommandLine, contents

from models.depth_saliency import support_plane

STARTED = re.compile(r"(\S+): started")


def stages_run(result) -> list[str]:
    return STARTED.findall(result.stderr)


@pytest.mark.pipeline
def test_the_first_run_does_all_stages_and_says_where_things_are(finished_once):
    last = finished_once.log
    assert len(STARTED.findall(last)) == 13
    assert re.search(r"report +\S+report.html", last)
    assert re.search(r"model +\S+model.safetensors", last)
    assert "images/s" in last


@pytest.mark.pipeline
def test_a_second_run_does_nothing(finished):
    before = contents(finished.artifacts)
    result = finished.luigi("RunAll", "--processes", 1)
    assert result.returncode == 0
    assert stages_run(result) == []
    assert "nothing was run" in result.stderr
    assert contents(finished.artifacts) == before


@pytest.mark.pipeline
def test_one_parameter_reruns_its_stage_and_those_below_and_the_old_results_stand(finished):
    before = contents(finished.artifacts)
    result = finished.luigi("RunAll", "--processes", 1, "--GenerateSeeds-alpha", 0.6)
    assert result.returncode == 0, result.stderr
    assert sorted(stages_run(result)) == [
        "EvaluateMasks",
        "GenerateSeeds",
        "PredictMasks-evaluation",
        "PredictMasks-train",
        "TrainSegmenter",
        "WriteReport",
    ]
    after = contents(finished.artifacts)
    assert {name: after[name] for name in before} == before
    assert len(list((finished.artifacts / "bop/GenerateSeeds").glob("*.zarr"))) == 2


@pytest.mark.pipeline
def test_a_single_stage_by_its_name_and_settings_from_luigi_cfg(finished):
    result = finished.luigi("GenerateSeeds")
    assert result.returncode == 0
    assert stages_run(result) == []
    settings = finished.folder / "luigi.cfg"
    text = settings.read_text()
    settings.write_text(text.replace("[GenerateSeeds]\n", "[GenerateSeeds]\nalpha=0.31\n"))
    result = finished.apart().luigi("GenerateSeeds")
    settings.write_text(text)
    assert stages_run(result) == ["GenerateSeeds"]


@pytest.mark.pipeline
def test_background_from_the_support_plane(finished):
    result = finished.luigi("GenerateSeeds", "--GenerateSeeds-background", "plane")
    assert result.returncode == 0, result.stderr
    assert stages_run(result) == ["GenerateSeeds"]
    seeds, depth = (
        xarray.open_zarr(finished.inspect("show", *stage).stdout.splitlines()[0].split(": ")[1])
        for stage in (("GenerateSeeds", "--GenerateSeeds-background", "plane"), ("LoadDepth",))
    )
    assert len(seeds.seed) > 1
    for seed, metres, valid in zip(seeds.seed.values, depth.depth.values, depth.valid.values, strict=True):
        plane = support_plane(metres, valid.astype(bool))
        assert 0.2 < plane.mean() < 1
        assert (seed[plane] == 0).all()
        assert plane[seed == 0].all()


@pytest.mark.pipeline
def test_a_flipped_byte_names_artifact_and_shard_and_a_rerun_redoes_that_shard_only(finished):
    before = contents(finished.artifacts)
    path = Path(finished.inspect("show", "ExtractCams").stdout.splitlines()[0].split(": ")[1])
    shard = path / "cam/c/1/0/0/0"
    good = shard.read_bytes()
    times = {file: file.stat().st_mtime_ns for file in path.rglob("*/c/*") if file.is_file()}
    spoilt = bytearray(good)
    spoilt[len(good) // 2] ^= 4
    shard.write_bytes(spoilt)
    result = finished.luigi("GenerateSeeds", "--GenerateSeeds-alpha", 0.77)
    assert result.returncode == 30
    assert f"{path.name}: shard 1 of array 'cam' is damaged" in result.stderr
    assert "Traceback" not in result.stderr
    result = finished.luigi("GenerateSeeds", "--GenerateSeeds-alpha", 0.77)
    assert result.returncode == 0, result.stderr
    assert stages_run(result) == ["ExtractCams", "GenerateSeeds"]
    assert shard.read_bytes() == good
    rewritten = {f.relative_to(path).parts[:3] for f, t in times.items() if f.stat().st_mtime_ns != t}
    assert rewritten <= {("cam", "c", "1"), ("slot_class", "c", "1")}
    after = contents(finished.artifacts)
    assert {name: after[name] for name in before} == before
    assert stages_run(finished.luigi("RunAll")) == []  # all below fits again


@pytest.mark.pipeline
def test_damaged_weights_are_not_used_but_learned_again(finished):
    (path,) = (finished.artifacts / "bop/TrainClassifier").glob("*")
    model = path / "model.safetensors"
    good = model.read_bytes()
    model.write_bytes(good[:-5] + bytes([good[-5] ^ 1]) + good[-4:])
    cams = ("ExtractCams", "--ExtractCams-flip", "false")
    result = finished.luigi(*cams)
    assert result.returncode == 30
    assert "model.safetensors is damaged" in result.stderr
    result = finished.luigi(*cams)
    assert result.returncode == 0, result.stderr
    assert stages_run(result) == ["TrainClassifier", "ExtractCams"]
    assert model.read_bytes() == good


@pytest.mark.pipeline
def test_verify_finds_a_flipped_byte(finished):
    assert finished.inspect("verify").returncode == 0
    (path,) = (finished.artifacts / "bop/LoadDepth").glob("*.zarr")
    shard = path / "depth/c/0/0/0"
    good = shard.read_bytes()
    shard.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:])
    result = finished.inspect("verify")
    assert result.returncode == 1
    assert "(shard 0) is damaged" in result.stdout
    assert "partial 2/3" in finished.inspect("status").stdout
    assert stages_run(finished.luigi("RunAll", "--processes", 1)) == ["LoadDepth"]
    assert shard.read_bytes() == good


@pytest.mark.pipeline
def test_a_deleted_artifact_in_the_middle_is_rebuilt(finished):
    before = contents(finished.artifacts)
    (path,) = (finished.artifacts / "bop/DiscoverSuperpixels").glob("*.zarr")
    shutil.rmtree(path)
    assert "missing" in finished.inspect("status").stdout
    result = finished.luigi("RunAll", "--processes", 2)  # the bytes do not depend on the number of processes
    assert result.returncode == 0, result.stderr
    assert stages_run(result) == ["DiscoverSuperpixels"]
    assert contents(finished.artifacts) == before


@pytest.mark.pipeline
def test_status_show_and_scores(finished):
    status = finished.inspect("status").stdout
    assert status.count(" done ") == 13
    scores = finished.scores()
    assert list(scores) == ["cam_seed", "initial_seed", "pseudo_labels", "predictions"]
    assert 0 <= scores["cam_seed"]["miou"] <= 100
    assert 0 <= scores["cam_seed"]["threshold"] < 1
    assert set(scores["predictions"]["per_class"]) >= {"background", "ball"}
    assert "mIoU" in finished.inspect("scores").stdout
    for stage in ("LoadDepth", "ExtractCams", "ExtractKeys", "DiscoverSuperpixels", "PredictMasks", "TrainSegmenter"):
        picture = finished.folder / f"{stage}.png"
        shown = finished.inspect("show", stage, "--output", picture)
        assert shown.returncode == 0, shown.stderr
        assert "parameters:" in shown.stdout
        assert picture.stat().st_size > 500
    one = finished.inspect("show", "ExtractCams", "--image", "train_pbr/000002/000001", "--output", picture)
    assert "statistics over 1 of the images" in one.stdout
    wrong = finished.inspect("show", "ExtractCams", "--image", "nobody")
    assert wrong.returncode == 1
    assert "no image 'nobody'" in wrong.stderr


@pytest.mark.pipeline
def test_every_store_opens_in_xarray(finished_once):
    paths = list(finished_once.artifacts.glob("bop/*/*.zarr"))
    assert len(paths) >= 7
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dataset = xarray.open_zarr(path)
        assert dataset.sizes["image_id"] in (5, 10)
        assert dataset.attrs["stage"] == json.loads((path / "stage.json").read_text())["stage"]
        assert dataset.attrs["parameters"] is not None
        assert dataset.class_name.values[0] == "background"


@pytest.mark.pipeline
def test_the_report_is_self_contained(finished_once):
    path = next(finished_once.artifacts.glob("bop/WriteReport/*/report.html"))
    text = path.read_text()
    assert "http" not in text.replace("http://www.w3.org", "")  # names of XML dialects, never fetched
    assert text.count("<img") >= 2 * 7 + 2 * 3
    assert "cereal_box" in text


@pytest.mark.pipeline
def test_two_runs_at_once_end_well_and_write_once(finished, tmp_path):
    line = CommandLine(finished.folder, finished.data_root)
    line.artifacts = tmp_path / "shared"
    runs = [line.start("RunAll", "--processes", 1) for _ in range(2)]
    errors = [run.communicate(timeout=600)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    wrote = [name for text in errors for name in re.findall(r"(\S+): [\d.]+ s.*wrote", text)]
    assert sorted(wrote) == sorted(set(wrote)), "a stage was computed twice"
    assert len(wrote) == 13
    expected = contents(finished.artifacts)
    assert {name: value for name, value in expected.items() if name in contents(line.artifacts)} == contents(
        line.artifacts
    )


@pytest.mark.pipeline
def test_scores_of_a_parameter_that_only_the_command_line_named(finished):
    flags = ("--PredictMasks-evaluation-scales", "1.25")
    assert finished.luigi("EvaluateMasks", "--processes", 1, *flags).returncode == 0
    shown = finished.inspect("scores", "--json", *flags)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["predictions"]["images"] == 5
