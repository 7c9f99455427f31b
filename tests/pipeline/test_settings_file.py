import os
from pathlib import Path

import pytest
from luigi.configuration import LuigiConfigParser

from data.errors import SettingError
from pipeline import settings_file
from pipeline.settings_file import check_readable, check_sections, settings_path

PARAMETERS = {"TrainClassifier": ("epochs", "batch_size"), "TrainSegmenter": ("epochs",), "RunAll": ("seed",)}


@pytest.fixture
def warnings(monkeypatch):
    told = []
    monkeypatch.setattr(settings_file.log, "warning", lambda text, *values: told.append(text % values))
    return told


def parsed(text):
    config = LuigiConfigParser()
    config.read_string(text)
    return config


def test_known_settings_pass(warnings):
    check_sections(
        parsed("[core]\nlog_level=INFO\n[retcode]\ntask_failed=30\n[TrainClassifier]\nbatch-size=3"), PARAMETERS
    )
    check_sections(
        parsed("[DEFAULT]\nroot=/x\n[TrainClassifier]\nepochs=3\n[slurm]\nqueue=a\n[slurm-gpu]\njobs=2"), PARAMETERS
    )
    assert warnings == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[TrainClassifier]\nepoks=3", "TrainClassifier has no parameter 'epoks'; did you mean: epochs"),
        ("[TrainClassifier]\nEpochs=3", "TrainClassifier has no parameter 'Epochs'; did you mean: epochs"),
        ("[TrainClassifier]\nnonsense=3", "TrainClassifier has no parameter 'nonsense'$"),
        ("[TrainClasifier]\nepochs=3", "there is no stage 'TrainClasifier'; did you mean: TrainClassifier"),
        ("[runall]\nseed=3", "there is no stage 'runall'; did you mean: RunAll"),
        ("[RunAll]\nseed=${NO_SUCH_VARIABLE}", r"\[RunAll\] seed: .*nonexisting environment variable NO_SUCH_VARIABLE"),
        ("[RunAll]\nseed=5%", r"\[RunAll\] seed: '%' must be followed by"),
    ],
)
def test_what_has_no_effect_is_named(text, message):
    with pytest.raises(SettingError, match=message) as caught:
        check_sections(parsed(text), PARAMETERS)
    assert "\n" not in str(caught.value)


def test_a_section_of_another_project_is_a_warning(warnings):
    check_sections(parsed("[spark]\nmaster=local"), PARAMETERS)
    assert warnings == ["luigi.cfg: section [spark] belongs to no stage; it has no effect here"]


def test_a_readable_file_passes(tmp_path):
    (tmp_path / "luigi.cfg").write_text("# ä\n[core]\nlog_level=%x\n")
    check_readable(tmp_path / "luigi.cfg")
    check_readable(tmp_path / "nowhere.cfg")
    (tmp_path / "luigi.toml").write_text("[core]\nno_lock = true\n")
    check_readable(tmp_path / "luigi.toml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no header\n", "no section headers.*line: 1"),
        (b"[core]\nno value\n", "parsing errors.*line  ?2"),
        (b"[core\na=1\n", "luigi.cfg: "),
        (b"[core]\na=1\n[core]\n", "section 'core' already exists"),
        (b"[core]\na=1\na=2\n", "option 'a' in section 'core' already exists"),
        (b"\xff\xfe[\0c\0", "is not UTF-8 text"),
        (b"[core]\na=\xe4\n", "is not UTF-8 text"),
        (b"\xef\xbb\xbf[core]\na=1\n", "no section headers"),
    ],
)
def test_an_unreadable_file_is_one_line(tmp_path, content, message):
    (tmp_path / "luigi.cfg").write_bytes(content)
    with pytest.raises(SettingError, match=message) as caught:
        check_readable(tmp_path / "luigi.cfg")
    assert str(caught.value).startswith(f"{tmp_path}/luigi.cfg: ")
    assert "\n" not in str(caught.value)


def test_a_pipe_or_a_folder_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "luigi.cfg")
    for path in (tmp_path / "luigi.cfg", tmp_path):
        with pytest.raises(SettingError, match="is not a regular file"):
            check_readable(path)


def test_the_path_may_be_set(monkeypatch):
    monkeypatch.setenv("LUIGI_CONFIG_PATH", "/x/y.cfg")
    assert settings_path() == Path("/x/y.cfg")
    monkeypatch.delenv("LUIGI_CONFIG_PATH")
    assert settings_path() == Path("luigi.cfg")
