import inspect

import luigi
import pytest
from stage_variants import STAGES, own_parameters

from tasks.runtime.luigi_seam import default_value
from tasks.runtime.numeric import number
from tasks.runtime.parameters import (
    Choice,
    RegistryParameter,
    described,
    flag,
    matters,
    nearest,
    nonzero,
    one_of,
    only,
    registries_of,
)

SHAPES = {
    "square": Choice(lambda side, angle: (side, angle), ("side", "angle"), inputs=("grid",)),
    "circle": Choice(lambda radius: radius, ("radius",)),
    "nothing": Choice(tuple),
}


def is_even(stage) -> bool:
    """True for an even count."""
    return stage.count % 2 == 0


def is_wide(width) -> bool:
    return width > 3


class DrawShape(luigi.Task):
    """One of each kind of condition."""

    shape = RegistryParameter(SHAPES, "square", "what is drawn")
    side = luigi.FloatParameter(default=1.0, description="length of a side")
    radius = luigi.FloatParameter(default=1.0)
    angle = only(luigi.FloatParameter(default=0.0, description="degrees"), side=nonzero)
    rotate = only(flag(False, "turn it"), angle=nonzero)
    colour = one_of(("red", "blue", "none"), "none", "of the line")
    width = only(luigi.IntParameter(default=1, description="pixels"), colour=("red", "blue"))
    shade = only(flag(True), width=is_wide)
    count = luigi.IntParameter(default=1)
    depth = only(number(0.5, "of the line", at_least=0, at_most=1), colour="red")
    gap = only(luigi.IntParameter(default=2), when=is_even)
    corner = only(one_of(("round", "sharp"), "round", "of the frame"), rotate=True, colour="red")


def test_a_parameter_without_a_condition_matters():
    assert matters(DrawShape(), "shape")
    assert matters(DrawShape(), "count")


@pytest.mark.parametrize(("colour", "expected"), [("red", True), ("blue", True), ("none", False)])
def test_a_condition_is_a_value_or_one_of_several(colour, expected):
    assert matters(DrawShape(colour=colour), "width") == expected


@pytest.mark.parametrize(("side", "expected"), [(2.0, True), (0.0, False)])
def test_a_condition_is_a_function_of_the_value(side, expected):
    assert matters(DrawShape(side=side), "angle") == expected


def test_a_condition_is_a_function_of_the_stage():
    assert matters(DrawShape(count=4), "gap")
    assert not matters(DrawShape(count=3), "gap")


def test_all_conditions_must_hold():
    settings = {"angle": 1.0, "rotate": True, "colour": "red"}
    assert matters(DrawShape(**settings), "corner")
    for name, value in (("rotate", False), ("colour", "blue"), ("colour", "none")):
        assert not matters(DrawShape(**{**settings, name: value}), "corner")


def test_a_condition_on_what_does_not_matter_does_not_hold():
    assert matters(DrawShape(angle=1.0), "rotate")
    assert not matters(DrawShape(angle=1.0, side=0.0), "rotate")
    assert not matters(DrawShape(angle=1.0, shape="circle"), "rotate")


@pytest.mark.parametrize(
    ("shape", "expected"), [("square", {"side", "angle"}), ("circle", {"radius"}), ("nothing", set())]
)
def test_what_a_choice_lists_matters_with_it_alone(shape, expected):
    stage = DrawShape(shape=shape)
    assert {name for name in ("side", "angle", "radius") if matters(stage, name)} == expected


def test_a_choice_gives_its_function_the_parameters_that_it_lists():
    stage = DrawShape(side=3.0, angle=45.0, radius=2.0)
    assert SHAPES["square"].settings(stage) == {"side": 3.0, "angle": 45.0}
    assert SHAPES["square"].function(**SHAPES["square"].settings(stage)) == (3.0, 45.0)
    assert SHAPES["nothing"].settings(stage) == {}


def test_the_registry_says_which_choices_there_are():
    assert registries_of(DrawShape) == {"shape": SHAPES}
    assert DrawShape.shape.parse("circle") == "circle"
    with pytest.raises(ValueError, match="triangle"):
        DrawShape.shape.parse("triangle")


def test_a_description_tells_where_a_parameter_matters_and_its_legal_values():
    assert described(DrawShape, "shape") == "what is drawn; choices: circle, nothing, square"
    assert described(DrawShape, "side") == "length of a side (if shape is square)"
    assert described(DrawShape, "radius") == "(if shape is circle)"
    assert described(DrawShape, "angle") == "degrees (if side is not 0 and shape is square)"
    assert described(DrawShape, "rotate") == "turn it (if angle is not 0)"
    assert described(DrawShape, "width") == "pixels (if colour is red or blue)"
    assert described(DrawShape, "corner") == "of the frame (if rotate is true and colour is red); choices: round, sharp"
    assert described(DrawShape, "shade") == "(if width is wide)"
    assert described(DrawShape, "count") == ""
    assert described(DrawShape, "depth") == "of the line (if colour is red); from 0 to 1"


def test_an_unknown_name_gets_the_nearest_ones_or_all():
    known = ["deal_weight", "deal_floor", "epochs"]
    assert nearest("deal_wieght", known).startswith("; did you mean: deal_weight")
    assert nearest("x", known) == "; use one of: deal_floor, deal_weight, epochs"


def test_a_flag_is_true_or_false_in_words():
    assert flag(False).parse("true") is True
    assert flag(True).parse("false") is False
    assert default_value(flag(True)) is True


REGISTRIES = [
    pytest.param(stage, name, entry, id=f"{stage.__name__}-{name}-{entry}")
    for stage in STAGES
    for name, registry in registries_of(stage).items()
    for entry in registry
]


@pytest.mark.parametrize(("stage", "name", "entry"), REGISTRIES)
def test_a_choice_lists_parameters_that_stage_and_function_have(stage, name, entry):
    choice = registries_of(stage)[name][entry]
    assert set(choice.parameters) <= dict(stage.get_params()).keys()
    assert set(choice.parameters) <= inspect.signature(choice.function).parameters.keys()


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_a_condition_names_parameters_of_the_stage(stage):
    own = own_parameters(stage)
    for name, parameter in own.items():
        conditions = getattr(parameter, "conditions", {})
        assert conditions.keys() <= own.keys() - {name}
    registries = registries_of(stage)
    assert all(default_value(own[name]) in registry for name, registry in registries.items())
