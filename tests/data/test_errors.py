import inspect
import pickle

import data.errors as errors


def test_all_are_errors_for_the_user_and_a_standard_kind():
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        assert issubclass(kind, errors.DepthseedError), name
        if kind is not errors.DepthseedError:
            assert issubclass(kind, (ArithmeticError, MemoryError, RuntimeError, ValueError)), name


def test_they_travel_between_processes():
    for error in (errors.ImageError("a"), errors.DamagedShardError("a.zarr", 1, "label", "why")):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_message_is_one_printable_line_whatever_a_name_holds():
    assert str(errors.ImageError("a\nb\x1b[2J\ud800é.png: is bad")) == "a\\nb\\x1b[2J\\ud800é.png: is bad"
