"""plan, force, clean, dag, completion and run, on the artifacts of a finished run."""

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from xml.etree import ElementTree

import pytest
from support import contents

from data.store.artifact import Artifact
from pipeline.commands import COMMANDS
from tasks.runtime.lock import artifact_lock

ALPHA = ("--GenerateSeeds-alpha", "0.6")
BELOW_SEEDS = ["TrainSegmenter", "PredictMasks-train", "PredictMasks-evaluation", "EvaluateMasks", "WriteReport"]


def planned(result) -> dict[str, str]:
    """Stage -> its line, from the output of plan."""
    assert result.returncode == 0, result.stderr
    return {line.split()[0]: line for line in result.stdout.splitlines()[2:-1]}


def only_artifact(line, stage) -> Path:
    (path,) = (line.artifacts / "bop" / stage).iterdir()
    return path


@pytest.mark.pipeline
def test_a_plan_says_what_would_run_and_why(finished):
    before = contents(finished.artifacts)
    assert finished.inspect("plan").stdout.splitlines()[-1] == "all 13 stages are done"
    result = finished.inspect("plan", *ALPHA)
    steps = planned(result)
    assert list(steps) == ["GenerateSeeds", *BELOW_SEEDS]
    assert steps["GenerateSeeds"].endswith("alpha 0.4 -> 0.6")
    assert steps["TrainSegmenter"].endswith("input seeds is new")
    assert all(re.match(r"\S+ +missing +\d+ (s|min)  ", line) for line in steps.values())
    assert re.fullmatch(r"6 stages would run, about \d+ (s|min); 7 are done", result.stdout.splitlines()[-1])
    assert result.stdout.startswith("profile small, method superpixel: TrainClassifier test_efficientnet (")
    assert list(planned(finished.inspect("plan", "GenerateSeeds", *ALPHA))) == ["GenerateSeeds"]
    assert contents(finished.artifacts) == before


@pytest.mark.pipeline
def test_a_plan_knows_stale_and_partial_artifacts(finished):
    seeds = only_artifact(finished, "GenerateSeeds")
    (seeds / "COMPLETE.json").unlink()
    next(seeds.glob("seed/c/0/0/0")).unlink()
    steps = planned(finished.inspect("plan"))
    assert list(steps) == ["GenerateSeeds", *BELOW_SEEDS]
    assert re.search(r"partial 2/3 .*an interrupted run has left a part", steps["GenerateSeeds"])
    assert re.search(r"stale .*input seeds is computed again; kept if", steps["TrainSegmenter"])
    assert re.search(r"stale .*a stage further up is computed again", steps["PredictMasks-train"])


@pytest.mark.pipeline
def test_a_forced_stage_is_computed_again_and_nothing_else(finished):
    before = contents(finished.artifacts)
    shown = finished.inspect("force", "GenerateSeeds")
    assert shown.returncode == 0
    assert str(only_artifact(finished, "GenerateSeeds")) in shown.stdout
    for stage in ("TrainSegmenter", "PredictMasks", "EvaluateMasks", "WriteReport"):
        assert f"is read for {stage} " in shown.stdout
    assert "IndexDataset" not in shown.stdout
    assert contents(finished.artifacts) == before
    name = f"EvaluateMasks-{only_artifact(finished, 'EvaluateMasks').name}"
    with artifact_lock(finished.artifacts / "bop", "EvaluateMasks", name):
        refused = finished.inspect("force", "GenerateSeeds", "--yes")
        assert (refused.returncode, refused.stderr.count("ERROR: a running command reads it for EvaluateMasks")) == (
            1,
            1,
        )
    assert contents(finished.artifacts) == before
    removed = finished.inspect("force", "GenerateSeeds", "--yes")
    assert removed.returncode == 0
    assert not list((finished.artifacts / "bop/GenerateSeeds").iterdir())
    assert "the next run computes it" in finished.inspect("force", "GenerateSeeds").stdout
    result = finished.luigi("RunAll", "--processes", 1)
    assert re.findall(r"(\S+): started", result.stderr) == ["GenerateSeeds"]
    assert contents(finished.artifacts) == before


@pytest.mark.pipeline
def test_the_flags_of_force_are_those_of_the_named_stage(finished):
    def shown(*arguments):
        result = finished.inspect("force", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert "LoadDepth: there is no artifact of this run" in shown("LoadDepth", "--split", "evaluation")
    assert str(only_artifact(finished, "LoadDepth")) in shown("LoadDepth")
    assert shown("PredictMasks").count("/PredictMasks/") == 2
    for split in ("train", "evaluation"):
        own = shown("PredictMasks", "--split", split)
        assert own == shown(f"PredictMasks-{split}")
        assert own.count("/PredictMasks/") == 1
    assert "there is no artifact of this run" in shown("GenerateSeeds", "--alpha", "0.6")
    assert str(only_artifact(finished, "GenerateSeeds")) in shown("GenerateSeeds", "--alpha", "0.4")


@pytest.mark.pipeline
def test_clean_shows_and_deletes_what_no_parameters_lead_to(finished):
    before = contents(finished.artifacts)
    assert finished.luigi("GenerateSeeds", "--processes", 1, *ALPHA).returncode == 0
    kept = only_of(before, "GenerateSeeds")
    (stale,) = (path for path in (finished.artifacts / "bop/GenerateSeeds").iterdir() if path.name != kept)
    shown = finished.inspect("clean", "--stale", *ALPHA)  # the flags of a run belong to the present parameters
    assert shown.returncode == 0
    assert str(stale) not in shown.stdout
    assert str(stale.with_name(kept)) in shown.stdout
    assert "add --yes" in shown.stdout
    with artifact_lock(finished.artifacts / "bop", "GenerateSeeds", f"GenerateSeeds-{stale.stem}"):
        held = finished.inspect("clean", "--stale", "--yes")
        assert f"kept: {stale}, which a running command writes or reads" in held.stderr
        assert "deleted 0.0 MB in 0 artifacts" in held.stdout
        assert stale.exists()
    deleted = finished.inspect("clean", "--stale", "--yes")
    assert deleted.returncode == 0
    assert f"deleted {stale}" in deleted.stdout
    assert contents(finished.artifacts) == before


def only_of(files, stage) -> str:
    (name,) = {path.split("/")[2] for path in files if path.startswith(f"bop/{stage}/")}
    return name


@pytest.mark.pipeline
def test_a_picture_of_the_stages(finished):
    path = finished.folder / "dag.svg"
    assert finished.inspect("dag", *ALPHA, "--output", path).returncode == 0
    texts = [node.text for node in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]
    assert sum(text.startswith("done") for text in texts) == 7
    assert texts.count("missing") == 6
    assert {"IndexDataset", "PredictMasks-evaluation"} <= set(texts)


@pytest.mark.pipeline
def test_run_is_the_luigi_command_from_any_folder(command_line, bop_root):
    (command_line.folder / "datasets").mkdir()
    bop_root.rename(command_line.folder / "datasets/bop")
    command = [sys.executable, "-m", "pipeline", "run", "ExtractKeys", "--dataset", "bop", "--processes", "1"]
    result = subprocess.run(command, cwd=command_line.folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert re.findall(r"(\S+): started", result.stderr) == ["IndexDataset", "ExtractKeys"]
    assert "data set bop: datasets/bop" in result.stderr
    assert "profile small, method superpixel: ExtractKeys test_efficientnet (weights random)" in result.stderr
    result = subprocess.run([*command, "--nonsense"], cwd=command_line.folder, capture_output=True, check=False)
    assert result.returncode == 2


def test_the_console_script_is_python_m_pipeline():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(Path(__file__).parents[2] / "setup.cfg")
    name, _, path = parser["options.entry_points"]["console_scripts"].strip().partition(" = ")
    assert name == "depthseed"
    assert resolve_name(path) is resolve_name("pipeline.__main__:script")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "Nonsense"), ("'Nonsense' is neither",)),
        (("plan", "FetchDataset"), ("'FetchDataset' is neither",)),
        (("plan", "--seed", "x"), ("--seed is x",)),
        (("dag", "--output", "nowhere/dag.svg"), ("nowhere/dag.svg: cannot be written",)),
        (("show",), ("show needs the path of an artifact",)),
        (("force",), ("force needs the name of a stage",)),
        (("force", "Nonsense"), ("'Nonsense' is neither",)),
        (("force", "RunAll"), ("RunAll writes nothing",)),
        (("clean",), ("clean needs --stale",)),
        (("clean", "--stale", "--seed", "-1"), ("--seed is -1",)),
        (("doctor", "--profile", "nonsense"), ("--profile nonsense",)),
    ],
)
def test_errors_are_one_line(here, arguments, words):
    result = here.inspect(*arguments)
    assert result.returncode == 1, result.stdout
    assert "Traceback" not in result.stderr
    assert [line for line in result.stderr.splitlines() if all(word in line for word in ("ERROR", *words))]


@pytest.mark.parametrize("command", [("status", "--nonsense"), ("nonsense",), ("completion", "fish")])
def test_usage_errors_are_one_line(here, capsys, command):
    with pytest.raises(SystemExit) as ended:
        here.inspect(*command)
    assert ended.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "luigi.cfg" not in line]
    assert line.startswith("ERROR: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(here, capsys, monkeypatch, command):
    monkeypatch.setattr(here, "flags", list)
    with pytest.raises(SystemExit) as ended:
        here.inspect(command, "--help")
    assert ended.value.code == 0
    assert "usage: depthseed" in capsys.readouterr().out


def test_doctor_finds_nothing_that_will_not_work(here):
    result = here.inspect("doctor")
    assert result.returncode == 0, result.stdout
    assert str(here.folder) in result.stdout


def completed(script: Path, *words: str) -> set[str]:
    """What bash offers for the last of these words."""
    line = (
        f"source {script}; COMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}; "
        f'$(complete -p depthseed | sed "s/.*-F \\([^ ]*\\).*/\\1/"); printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    return set(subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout.split())


def test_bash_completes_commands_stages_flags_and_values(here, monkeypatch):
    pytest.importorskip("shtab", reason="the extra completion is not installed")
    monkeypatch.setattr(here, "flags", list)
    script = here.folder / "completion.bash"
    script.write_text(here.inspect("completion", "bash").stdout)
    assert completed(script, "depthseed", "pl") == {"plan"}
    assert completed(script, "depthseed", "run", "GenerateS") == {"GenerateSeeds"}
    assert completed(script, "depthseed", "run", "Fetch") == {"FetchDataset"}
    assert completed(script, "depthseed", "plan", "Fetch") == set()
    assert completed(script, "depthseed", "run", "RunAll", "--dataset", "ho") == {"hope"}
    assert completed(script, "depthseed", "status", "--GenerateSeeds-al") == {"--GenerateSeeds-alpha"}
    for shell in ("zsh", "tcsh"):
        assert "GenerateSeeds" in here.inspect("completion", shell).stdout


def test_clean_keeps_what_cannot_be_planned_with_one_of_the_methods_and_what_it_is_made_from(here):
    folder = here.artifacts / "bop"

    def write(stage, *parents) -> Path:
        path = folder / stage / stage.encode().hex()[-12:]
        path.mkdir(parents=True)
        described = {"stage": stage, "version": 1, "parameters": {}, "contents": {}}
        described["parents"] = {f"input {parent.name}": "digest" for parent in parents}
        (path / "stage.json").write_text(json.dumps(described))
        Artifact(path).finish({}, path.name)
        return path

    stale = write("ExtractKeys", write("IndexDataset"))
    depth, saliency = write("LoadDepth"), write("LoadSaliency")
    kept = [depth, saliency, write("PredictMasks", saliency, depth)]
    missing = ("--method", "masking", "--LoadSaliency-source", "files", "--LoadSaliency-folder", "gone")
    for flags in (missing, missing[2:]):  # without a method, PredictMasks of others can be planned
        result = here.inspect("clean", "--stale", *flags)
        assert result.returncode == 0, result.stderr
        assert all(str(path) not in result.stdout for path in kept)
        assert str(stale) in result.stdout
        assert "note: 1 of these artifacts are made from IndexDataset " in result.stderr
        assert f"results of another --data-root lie in {folder}, too" in result.stderr
        assert "kept: 1 artifacts of PredictMasks, which cannot be planned now with --method masking: " in result.stderr
        assert f"kept: {depth}, from which a kept artifact is made" in result.stderr
    here.inspect("clean", "--stale", "--yes", *missing[2:])
    assert all(path.exists() for path in kept)
    assert not stale.exists()
    everything = here.inspect("clean", "--stale")  # all can be planned: no method has such artifacts
    assert all(str(path) in everything.stdout for path in kept), everything.stderr


def test_a_damaged_file_is_a_state_for_commands_that_only_look(finished):
    (folder,) = (finished.artifacts / "bop" / "DiscoverSuperpixels").iterdir()
    (folder / "stage.json").write_bytes(b"{")
    (line,) = (line for line in finished.inspect("status").stdout.splitlines() if "DiscoverSuperpixels" in line)
    assert line.split()[1] == "damaged"
    (line,) = (line for line in finished.inspect("plan").stdout.splitlines() if "DiscoverSuperpixels " in line)
    assert "damaged" in line
    assert "its metadata cannot be read; what is damaged is computed again" in line
    assert finished.inspect("dag", "--output", finished.folder / "dag.svg").returncode == 0
    assert "damaged" in (finished.folder / "dag.svg").read_text()
    shown = finished.inspect("show", "DiscoverSuperpixels")
    assert shown.returncode == 1
    assert "damaged or missing" in shown.stderr
    assert "; depthseed verify removes it, and the next run computes it again" in shown.stderr
    result = finished.luigi("DiscoverSuperpixels", "--processes", 1)
    assert result.returncode == 0, result.stderr
    assert "DiscoverSuperpixels: started" in result.stderr
