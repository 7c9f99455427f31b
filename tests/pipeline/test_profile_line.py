"""The line about a profile says what the parameters say, wherever they come from."""

import pytest
from PIL import Image

from pipeline import ExtractKeys, GenerateSeeds, IndexDataset, MatchObjects, RunAll, profile_line
from pipeline.profile_line import gpu_line
from tasks.presets import GPU_PROFILE, PROFILES


def line_of(stage=RunAll, **values):
    return profile_line.profile_line(stage(dataset="demo", **values))


def test_the_networks_of_the_default_are_named():
    assert line_of() == (
        "profile small, method superpixel: TrainClassifier tf_efficientnet_lite0 (weights package, head gap), "
        "ExtractKeys tf_efficientnet_lite0 (weights package), TrainSegmenter tf_efficientnet_lite0 (start classifier)"
    )


def test_what_overrides_the_profile_stands_in_the_line():
    line = line_of(settings={"ExtractKeys": {"backbone": "vit_tiny_patch16_224", "weights": "random"}})
    assert "ExtractKeys vit_tiny_patch16_224 (weights random)" in line


def test_only_the_stages_of_the_run_are_named():
    assert line_of(ExtractKeys).endswith("method superpixel: ExtractKeys tf_efficientnet_lite0 (weights package)")
    assert "TrainSegmenter" not in line_of(GenerateSeeds)
    assert line_of(IndexDataset) == "profile small, method superpixel: no network"


def test_a_stage_of_each_class_stands_in_the_line_once(in_process, tmp_path):
    (tmp_path / "set" / "images").mkdir(parents=True)
    for tag in ("cup", "mug"):
        Image.new("RGB", (40, 30)).save(tmp_path / "set" / "images" / f"{tag}.png")
    (tmp_path / "set" / "labels.csv").write_text("image,tags,split\ncup.png,cup,train\nmug.png,mug,train\n")
    task = MatchObjects(dataset="folder", data_root=str(tmp_path / "set"))
    assert list(task.templates) == ["cup", "mug"]
    assert profile_line.profile_line(task).split(": ")[1] == "BuildTemplates test_efficientnet (weights random)"


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_has_a_line_with_its_networks(profile):
    line = line_of(profile=profile, settings={"LoadSaliency": {"source": "depth"}})  # else it needs a paper's maps
    assert line.startswith(f"profile {profile}, method {PROFILES[profile].method}: ")
    backbones = [values["backbone"] for values in PROFILES[profile].settings.values() if "backbone" in values]
    assert all(f" {backbone} (" in line for backbone in backbones)


def test_a_gpu_is_pointed_to_its_profile(monkeypatch):
    monkeypatch.setattr(profile_line, "has_gpu", lambda device: device != "cpu")
    line = gpu_line(RunAll(dataset="demo"))
    assert f"--profile {GPU_PROFILE} (convnext_base.fb_in22k_ft_in1k, vit_base_patch14_reg4_dinov2.lvd142m)" in line
    assert gpu_line(RunAll(dataset="demo", profile=GPU_PROFILE)) == ""
    assert gpu_line(RunAll(dataset="demo", device="cpu")) == ""
    monkeypatch.setattr(profile_line, "has_gpu", lambda device: False)
    assert gpu_line(RunAll(dataset="demo")) == ""
