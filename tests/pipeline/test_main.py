"""``python -m pipeline`` with odd arguments: one line and exit code 1; argparse's own errors have exit code 2."""

import pytest
from support import contents


def expect_line(result, *words):
    assert result.returncode == 1, result.stdout
    assert "Traceback" not in result.stderr
    assert [line for line in result.stderr.splitlines() if all(word in line for word in words)], result.stderr


@pytest.fixture
def indexed(here):
    assert here.luigi("IndexDataset").returncode == 0
    return here


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "Nonsense"), ("'Nonsense' is neither a path nor a stage",)),
        (("show", "loaddepth"), ("did you mean: LoadDepth?",)),
        (("show", "PredictFolder"), ("'PredictFolder' is neither a path nor a stage",)),
        (("show", ""), ("is not an artifact",)),
        (("show", "luigi.cfg"), ("luigi.cfg: is not an artifact",)),
        (("show", "LoadDepth"), ("is not an artifact",)),
        (("scores",), ("are missing; run: luigi --module pipeline EvaluateMasks --dataset bop --data-root ",)),
        (("scores", "--json"), ("are missing; run: luigi --module pipeline EvaluateMasks --dataset bop",)),
        (("view",), ("there are no artifacts of this data set", "RunAll --dataset bop --data-root ")),
        (("verify",), ("there are no complete artifacts in it; check --artifacts and --dataset",)),
        (("status", "--seed", "x"), ("--seed", "x")),
        (("status", "--profile="), ("--profile is empty",)),
        (("status", "--profile", "nonsense"), ("--profile nonsense", "is not a valid choice")),
        (("status", "--LoadDepth-seed", "1"), ("--LoadDepth-seed has no effect",)),
        (("status", "--settings", "[]"), ("settings must be a table",)),
        (("verify", "--TrainClassifier-epochs", "-1"), ("--TrainClassifier-epochs is -1",)),
        (("verify", "--LoadDepth-source", "nonsense"), ("--LoadDepth-source nonsense",)),
    ],
)
def test_odd_arguments_are_one_line(here, arguments, words):
    expect_line(here.inspect(*arguments), *words)


def test_an_unknown_data_set_is_one_line(here, monkeypatch):
    monkeypatch.setattr(here, "flags", lambda: ["--dataset", "nonsense"])
    expect_line(here.inspect("status"), "nonsense", "voc")


def test_arguments_of_no_command_are_usage_errors(here, capsys):
    for arguments in (
        ("nonsense",),
        (),
        ("status", "--nonsense", "3"),
        ("status", "--seed"),
        ("config", "--seed", "1"),
    ):
        with pytest.raises(SystemExit) as ended:
            here.inspect(*arguments)
        assert ended.value.code == 2
        assert "Traceback" not in capsys.readouterr().err


def test_an_image_that_does_not_exist_is_named(indexed):
    assert indexed.luigi("LoadDepth", "--processes", 1).returncode == 0
    expect_line(indexed.inspect("show", "LoadDepth", "--image", "nonsense"), "no image 'nonsense'; the first ids are")
    expect_line(indexed.inspect("show", "LoadDepth", "--output", "nowhere/a.png"), "nowhere/a.png: cannot be written")
    assert indexed.inspect("show", "LoadDepth", "--output", "a.nonsense").returncode == 0


@pytest.mark.parametrize("content", ["[]", "{}", "null", "{ cut", '{"stage": "S", "version": 1, "parameters": []}', ""])
@pytest.mark.parametrize("is_complete", [True, False])
def test_a_damaged_description_is_named(indexed, content, is_complete):
    (path,) = (indexed.artifacts / "bop/IndexDataset").iterdir()
    (path / "stage.json").write_text(content)
    if not is_complete:
        (path / "COMPLETE.json").unlink()
    expect_line(indexed.inspect("show", path), "stage.json is damaged")


@pytest.mark.parametrize("content", ["[]", "{}", "null", "{ cut", ""])
def test_a_damaged_marker_is_no_traceback(indexed, content):
    (path,) = (indexed.artifacts / "bop/IndexDataset").iterdir()
    (path / "COMPLETE.json").write_text(content)
    assert "IndexDataset" in indexed.inspect("status").stdout
    result = indexed.inspect("verify")
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)
    assert "IndexDataset" in result.stdout


def test_nothing_is_written(indexed):
    before = contents(indexed.artifacts)
    for command in ("status", "scores", "verify"):
        indexed.inspect(command)
    assert contents(indexed.artifacts) == before
