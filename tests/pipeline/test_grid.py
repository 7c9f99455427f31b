import pytest

from data.errors import SettingError
from models.cam import HEADS
from models.losses import MAP_LOSSES
from pipeline.grid import head_settings, joined, loss_settings, merged, parse_vary, read_grid, variants


def test_the_last_axis_runs_fastest_and_settings_are_merged():
    axes = {
        "losses": {"none": {"A": {"x": 0}}, "deal": {"A": {"x": 1}}},
        "B.y": {"1": {"B": {"y": "1"}}, "2": {"B": {"y": "2"}, "A": {"z": 3}}},
    }
    found = variants(axes)
    assert [variant.name for variant in found] == ["none, 1", "none, 2", "deal, 1", "deal, 2"]
    assert found[3].settings == {"A": {"x": 1, "z": 3}, "B": {"y": "2"}}
    assert found[3].values == {"losses": "deal", "B.y": "2"}
    assert axes["losses"]["deal"] == {"A": {"x": 1}}  # the axes stay as they were


def test_two_axes_of_one_parameter_are_refused():
    losses = {name: loss_settings(name, dict.fromkeys(MAP_LOSSES, 1.0)) for name in ("none", "deal")}
    weights = parse_vary("TrainClassifier.deal_weight=0.1,0.2")
    with pytest.raises(SettingError, match=r"'losses' and 'TrainClassifier.deal_weight' .* set TrainClassifier.deal_w"):
        variants(joined([{"losses": losses}, weights]))  # "none, 0.1" would have the loss
    assert len(variants(weights)) == 2


def test_variants_of_one_name_are_refused():
    grid = {
        "a": {"x": {"A": {"x": 0}}, "x, y": {"A": {"x": 1}}},
        "b": {"z": {"B": {"y": 0}}, "y, z": {"B": {"y": 1}}},
    }
    with pytest.raises(SettingError, match="2 variants of the grid have the name 'x, y, z'"):
        variants(grid)


def test_an_axis_twice_is_refused():
    with pytest.raises(SettingError, match=r"'TrainClassifier.epochs' of the grid is given twice"):
        parse_vary("TrainClassifier.epochs=1,2;TrainClassifier.epochs=3")
    with pytest.raises(SettingError, match=r"'A.x' of the grid is given twice"):
        joined([parse_vary("A.x=1"), parse_vary("A.x=2")])


def test_the_later_setting_holds():
    assert merged([{"A": {"x": 1, "y": 1}}, {"A": {"x": 2}}]) == {"A": {"x": 2, "y": 1}}


def test_axes_from_the_command_line():
    axes = parse_vary("LoadDepth.noise=0,0.01; TrainClassifier.epochs=3")
    assert axes == {
        "LoadDepth.noise": {"0": {"LoadDepth": {"noise": "0"}}, "0.01": {"LoadDepth": {"noise": "0.01"}}},
        "TrainClassifier.epochs": {"3": {"TrainClassifier": {"epochs": "3"}}},
    }
    assert parse_vary("") == {}
    for bad in ("noise=1", "LoadDepth.noise", "LoadDepth.noise="):
        with pytest.raises(SettingError, match="write Stage.parameter=value,value"):
            parse_vary(bad)


def test_axes_from_a_file(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text('[size.small.ExtractCams]\nscales = "1"\n[size.large.ExtractCams]\nscales = [1, 2.0]\n')
    assert read_grid(path) == {
        "size": {"small": {"ExtractCams": {"scales": "1"}}, "large": {"ExtractCams": {"scales": [1, 2.0]}}}
    }
    path.write_text("[size]\nsmall = 3\n")
    with pytest.raises(SettingError, match=r"grid.toml: axis 'size'"):
        read_grid(path)
    path.write_text("[size]\n")
    with pytest.raises(SettingError, match=r"grid.toml: axis 'size'"):
        read_grid(path)
    path.write_text("[size")
    with pytest.raises(SettingError, match=r"grid.toml: is not a grid"):
        read_grid(path)
    with pytest.raises(SettingError, match=r"none.toml: is not a grid"):
        read_grid(tmp_path / "none.toml")


def test_losses_that_are_named_have_the_stages_weight_or_the_papers():
    weights = dict.fromkeys(MAP_LOSSES, 0.0) | {"deal": 3.0}
    assert loss_settings("deal", weights) == {
        "TrainClassifier": {f"{name}_weight": 3.0 if name == "deal" else 0.0 for name in MAP_LOSSES}
    }
    assert set(loss_settings("none", weights)["TrainClassifier"].values()) == {0.0}
    assert all(loss_settings("all", weights)["TrainClassifier"].values())
    both = loss_settings("isl+fsl", weights)["TrainClassifier"]
    assert both == {"isl_weight": 0.2, "deal_weight": 0.0, "fsl_weight": 1.0}
    with pytest.raises(SettingError, match="losses 'fancy' is unknown; use none, isl, deal"):
        loss_settings("deal+fancy", weights)


@pytest.mark.parametrize("text", ["none", "all", *MAP_LOSSES])
def test_every_loss_of_the_registry_is_an_axis_value(text):
    from pipeline import TrainClassifier

    TrainClassifier(settings=loss_settings(text, dict.fromkeys(MAP_LOSSES, 0.0)))  # raises at an unknown parameter


@pytest.mark.parametrize("head", HEADS)
def test_every_head_of_the_registry_is_an_axis_value(head):
    from pipeline import TrainClassifier

    assert TrainClassifier(settings=head_settings(head)).head == head
