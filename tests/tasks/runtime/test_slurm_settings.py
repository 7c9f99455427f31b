import luigi.configuration
import pytest

from data.errors import SettingError
from tasks.runtime.slurm_settings import check_slurm_sections, seconds_of, slurm_settings


def test_the_section_of_a_kind_overrides_that_of_all_kinds(section, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section("slurm", **{"account": "robots", "cores": 2, "walltime": "4-00", "nodes": 3})
    section("slurm-gpu", **{"job-extra-directives": '["--nice=10", "--qos=low"]', "cores": 8, "jobs": 64})
    section("slurm-training", log_directory="/shared/logs")
    shared = {"account": "robots", "cores": 2, "walltime": "4-00"}
    assert slurm_settings("cpu") == shared | {"log_directory": str(tmp_path / "slurm-logs")}
    assert slurm_settings("gpu") == shared | {
        "cores": 8, "jobs": 64, "job_extra_directives": ["--nice=10", "--qos=low"],
        "log_directory": str(tmp_path / "slurm-logs"),
    }  # fmt: skip
    assert slurm_settings("training") == shared | {"nodes": 3, "log_directory": "/shared/logs"}


@pytest.mark.parametrize(
    ("name", "option", "value", "line"),
    [
        ("slurm", "colour", "red", r"section \[slurm\] has an unknown option 'colour'; known are account, cores"),
        ("slurm-cpu", "core", "2", r"section \[slurm-cpu\] has an unknown option 'core'; did you mean cores\?"),
        ("slurm-training", "jobs", "2", r"section \[slurm-training\] has an unknown option 'jobs'"),
        ("slurm-gpu", "jobs", "0", r"\[slurm-gpu\] jobs: give a whole number above 0"),
        ("slurm-gpu", "cores", "two", r"\[slurm-gpu\] cores: give a whole number above 0"),
        ("slurm", "queue", "", r"\[slurm\] queue: give one line of text"),
        ("slurm", "job_extra_directives", "--nice=10", r"job_extra_directives: give a list of texts as JSON, such as"),
        ("slurm", "job_script_prologue", "[1]", r"job_script_prologue: give a list of texts as JSON, such as"),
        ("slurm", "walltime", "soon", r"walltime: 'soon' is no time limit; give hours:minutes:seconds"),
        (
            "slurm-gpus",
            "jobs",
            "2",
            r"there is no section \[slurm-gpus\]; use slurm, slurm-cpu, slurm-gpu, slurm-train",
        ),
        ("SLURM_gpu", "jobs", "2", r"there is no section \[SLURM_gpu\]; use slurm, slurm-cpu, slurm-gpu, slurm-train"),
    ],
)
def test_what_cannot_be_used_is_one_line(section, name, option, value, line):
    section(name, **{option: value})
    with pytest.raises(SettingError, match=line):
        check_slurm_sections(luigi.configuration.get_config())


def test_a_percent_sign_must_be_doubled():
    config = luigi.configuration.LuigiConfigParser()
    config.read_string("[slurm]\nlog_directory=/logs/%j")
    with pytest.raises(SettingError, match=r"log_directory: '%' must be followed by .* write %% for a %"):
        check_slurm_sections(config)
    config.read_string("[slurm]\nlog_directory=/logs/%%j")
    check_slurm_sections(config)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400), ("1:30", 90), ("02:00:00", 7200), ("1-12", 129600), ("1-12:30", 131400), ("1-00:00:05", 86405),
        ("UNLIMITED", None), ("infinite", None),
    ],
)  # fmt: skip
def test_time_limits_are_read_as_slurm_reads_them(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "1:2:3:4", "1-2:3:4:5", "-5", "2h", "1-"])
def test_what_is_no_time_limit_is_refused(text):
    with pytest.raises(ValueError, match="is no time limit"):
        seconds_of(text)
