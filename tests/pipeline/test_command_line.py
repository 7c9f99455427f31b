import subprocess
import sys

import luigi.configuration
import pytest
from support import luigi_command

import pipeline
from data.errors import SettingError
from pipeline.command_line import check_command_line, check_input, is_ours, stage_names


def check(*arguments):
    check_command_line(["--module", "pipeline", *arguments], pipeline.__all__)


def test_good_command_lines_pass():
    check("RunAll", "--seed", "1", "--TrainClassifier-epochs=3", "--RunAll-seed", "2")
    check("--seed", "1", "RunAll")
    check("--local-scheduler", "RunAll", "--workers", "2")
    check("PredictFolder", "--device", "cpu", "--settings", "{}")
    check("--help")
    check("Nonsense", "--help")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RunAl"], "there is no task 'RunAl'; did you mean: RunAll"),
        (["StageTask"], "there is no task 'StageTask'"),
        (["--seed", "1"], "no task is named; use one of: Ablation, "),
        (["--seed", "1", "RunAl"], "there is no task 'RunAl'"),
        (["--seed=1", "RunAl"], "there is no task 'RunAl'"),
        (["RunAll", "--dataset", ""], "--dataset is empty; give it a value or leave it out"),
        (["RunAll", "--dataset="], "--dataset is empty"),
        (["RunAll", "--TrainClassifier-seed", "3"], "--TrainClassifier-seed has no effect, .* write --seed"),
        (["RunAll", "--LoadDepth-data-root=x"], "--LoadDepth-data-root has no effect, .* write --data-root"),
        (["RunAll", "--logging-conf-file", "nowhere"], "--logging-conf-file: nowhere is not a file"),
    ],
)
def test_what_luigi_would_pass_over_is_named(arguments, message):
    with pytest.raises(SettingError, match=message):
        check(*arguments)


def test_a_task_that_is_no_stage_knows_no_common_parameters():
    check("PredictFolder", "--RunAll-seed", "1")
    assert "PredictFolder" not in stage_names(pipeline.__all__)


def test_only_the_arguments_of_our_own_runs_are_checked():
    assert is_ours(["--module", "pipeline", "RunAll"])
    assert is_ours(["RunAll", "--module=pipeline"])
    assert not is_ours(["-k", "", "--module", "other"])
    check_input(["--anything", ""], pipeline.__all__)
    with pytest.raises(SettingError):
        check_input(["--module", "pipeline", "--seed", ""], pipeline.__all__)


def test_sections_about_slurm_are_checked_before_a_run():
    config = luigi.configuration.get_config()
    config.set("slurm-gpu", "job", "2")
    try:
        with pytest.raises(SettingError, match=r"section \[slurm-gpu\] has an unknown option 'job'"):
            check_input([], pipeline.__all__)
    finally:
        config.remove_section("slurm-gpu")


def test_a_real_process_says_it_in_one_line(tmp_path):
    (tmp_path / "luigi.cfg").write_text("")
    result = subprocess.run(
        luigi_command("RunAll", "--seed", ""), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.splitlines() == ["ERROR: --seed is empty; give it a value or leave it out"]
    command = [sys.executable, "-m", "pipeline", "status"]
    (tmp_path / "luigi.cfg").write_text("[RunAll]\nsed=1\n")
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.splitlines() == ["ERROR: luigi.cfg: RunAll has no parameter 'sed'; did you mean: seed?"]
