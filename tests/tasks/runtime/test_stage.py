import pickle
import shutil

import luigi
import numpy as np
import pytest

from data.errors import DamagedArtifactError, DatasetError, QualityError, SettingError, StoreError
from data.files.fingerprint import NAMED_FILES, WatchedFiles
from data.store.artifact import Artifact, write_bytes
from data.store.sharded import ShardedStore
from tasks.extract_cams import ExtractCams
from tasks.generate_seeds import GenerateSeeds
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth
from tasks.runtime.luigi_seam import forget_instances
from tasks.runtime.quality import warnings_of
from tasks.runtime.stage import StageTask
from tasks.train_classifier import TrainClassifier
from tasks.train_segmenter import TrainSegmenter


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    return {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}


def test_identity_follows_parameters_and_what_lies_above(common):
    base = GenerateSeeds(**common)
    assert GenerateSeeds(**common, alpha=0.6).identity != base.identity
    assert GenerateSeeds(**common, alpha=0.6).upstream(ExtractCams).identity == base.upstream(ExtractCams).identity
    config = luigi.configuration.get_config()
    config.set("ExtractKeys", "image_scale", "0.75")
    forget_instances()
    again = GenerateSeeds(**common)
    assert again.identity != base.identity
    assert again.upstream(ExtractCams).identity == base.upstream(ExtractCams).identity


def test_identity_ignores_where_things_are_and_how_fast(common, tmp_path, bop_root):
    before = GenerateSeeds(**common).identity
    moved = bop_root.rename(tmp_path / "elsewhere")
    other = {**common, "data_root": str(moved), "artifacts": str(tmp_path / "other"), "processes": 2, "device": "cpu"}
    assert GenerateSeeds(**other).identity == before


def test_the_seed_counts_where_chance_does(common):
    assert TrainClassifier(**common, seed=1).identity != TrainClassifier(**common).identity
    assert LoadDepth(**common, seed=1).identity == LoadDepth(**common).identity


def test_data_version_and_weights_count(common, bop_root, monkeypatch):
    before = TrainClassifier(**common).identity
    monkeypatch.setattr(LoadDepth, "version", LoadDepth.version + 1)
    forget_instances()
    raised = TrainClassifier(**common).identity
    assert raised != before
    (bop_root / "train_pbr/000001/rgb/000000.jpg").write_bytes(b"another image")
    forget_instances()
    assert TrainClassifier(**common).identity not in (before, raised)


def test_a_change_of_bf16_alone_leaves_results_of_32_bits_what_they_are(common, monkeypatch):
    def described(precision):
        forget_instances()
        task = ExtractCams(**common, precision=precision)
        return task.identity, task.description()["version"]

    before = {precision: described(precision) for precision in ("32", "bf16")}
    monkeypatch.setattr(ExtractCams, "bf16_version", ExtractCams.bf16_version + 1)
    assert described("32") == before["32"]
    identity, version = described("bf16")
    assert identity != before["bf16"][0]
    assert version == before["bf16"][1] + 1


def test_what_comes_of_other_weights_is_not_kept_though_the_file_is_restored(common, tmp_path, monkeypatch):
    """The identity is that of the first weights; a run that was killed has trained from the others."""
    weights = tmp_path / "weights"
    monkeypatch.setattr(NAMED_FILES, "stamps", {})
    IndexDataset(**common).run()

    def begun(content):
        weights.write_bytes(content)
        forget_instances()
        stage = TrainClassifier(**common, weights=str(weights))
        stage._begin()
        return stage

    first = begun(b"one")
    left = first.artifact.path / "checkpoint"
    left.write_bytes(b"state")
    assert left.exists()
    again = begun(b"one")
    assert (again.identity, left.exists()) == (first.identity, False)


def test_equal_named_parameters_of_other_stages_are_not_handed_up(common):
    segmenter = TrainSegmenter(**common, epochs=7)
    assert segmenter.upstream(TrainClassifier).epochs == 2


def test_the_profile_gives_defaults_and_settings_win(common):
    paper = {**common, "profile": "voc-superpixel"}
    assert TrainSegmenter(**paper).optimizer == "sgd"
    assert TrainSegmenter(**common).optimizer == "adamw"
    assert TrainSegmenter(**paper).epochs == 2  # luigi.cfg
    assert TrainSegmenter(**paper, optimizer="adamw").optimizer == "adamw"


def test_an_unknown_profile_or_data_set_names_the_known_ones(common):
    with pytest.raises(ValueError, match="not a valid choice"):
        GenerateSeeds(**{**common, "profile": "huge"})
    with pytest.raises(ValueError, match="--dataset takes one of"):
        _ = IndexDataset(**{**common, "dataset": "nothing"}).identity


def test_runs_leave_a_record_beside_the_artifact_and_none_in_it(common):
    task = IndexDataset(**common)
    task.run()
    assert task.complete()
    record = task.record()
    assert record["images"] == 15
    assert record["versions"]["zarr"]
    files = {"COMPLETE.json", "stage.json", "index.json", "warnings.json"}  # two classes are always together here
    assert {path.name for path in task.artifact.path.iterdir()} == files


def test_an_artifact_whose_inputs_have_changed_is_recomputed(common):
    index = IndexDataset(**common)
    index.run()
    depth = LoadDepth(**common, processes=1)
    depth.run()
    before = depth.artifact.digest()
    (index.artifact.path / "index.json").write_text((index.artifact.path / "index.json").read_text() + "\n")
    index.artifact.finish({}, index.identity)
    assert not depth.complete()
    depth.run()
    assert depth.complete()
    assert depth.artifact.digest() != before  # its stage.json names the parent's new digest


def test_settings_that_are_not_json_are_one_line():
    with pytest.raises(SettingError, match=r"settings '\{bad' is not valid JSON"):
        StageTask.settings.parse("{bad")


def test_settings_win_over_luigi_cfg_and_are_handed_up(common):
    settings = {"TrainClassifier": {"epochs": 5}, "ExtractCams": {"scales": [1, 2]}}
    cams = ExtractCams(**common, settings=settings)
    assert cams.scales == (1.0, 2.0)
    assert cams.upstream(TrainClassifier).epochs == 5
    assert TrainClassifier(**common, settings=settings, epochs=3).epochs == 3  # what is given to the task itself


def test_settings_change_the_identity_of_what_they_change_alone(common):
    settings = {"TrainClassifier": {"deal_weight": 0.9}}
    assert ExtractCams(**common, settings=settings).identity != ExtractCams(**common).identity
    assert LoadDepth(**common, settings=settings).identity == LoadDepth(**common).identity
    default = TrainClassifier(**common).deal_weight
    for spelling in (default, str(default), f"{default:.4f}"):
        same = {"TrainClassifier": {"deal_weight": spelling}}
        assert ExtractCams(**common, settings=same).identity == ExtractCams(**common).identity
    whole, broken = ({"TrainClassifier": {"deal_weight": value}} for value in (0, 0.0))
    assert TrainClassifier(**common, settings=whole).identity == TrainClassifier(**common, settings=broken).identity


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"TrainClasifier": {}}, "no stage 'TrainClasifier'; did you mean: TrainClassifier"),
        ({"TrainClassifier": {"deal_wight": 1}}, "no parameter 'deal_wight'; did you mean: deal_weight"),
        ({"TrainClassifier": {"seed": 1}}, "no parameter 'seed'"),
        ({"TrainClassifier": 3}, "must be a table"),
    ],
)
def test_settings_of_unknown_names_are_refused(common, settings, message):
    with pytest.raises(SettingError, match=message):
        GenerateSeeds(**common, settings=settings)


def test_a_classifier_without_deal_does_not_wait_for_depth(common):
    assert type(TrainClassifier(**common).required["depth"]) is LoadDepth
    assert LoadDepth not in map(type, TrainClassifier(**common, deal_weight=0.0).required.values())


class Rung(StageTask):
    """A ladder: two stages on each level, each of which reads both of the level below."""

    artifact_type = Artifact
    level = luigi.IntParameter()
    side = luigi.IntParameter(default=0)

    def requires(self):
        return {side: self.upstream(Rung, level=self.level - 1, side=i) for i, side in enumerate("lr") if self.level}

    def open(self):
        return self.artifact.read("text")

    def work(self):
        text = b"".join(self.inputs[side] for side in self.inputs) or b"."
        write_bytes(self.artifact.path / "text", text)
        return 0


@pytest.fixture
def ladder(in_process, tmp_path, monkeypatch):
    """A stage with 5 levels below it, all complete."""
    for slow in ("reset_peak_memory", "write_record"):
        monkeypatch.setattr(f"tasks.runtime.stage.{slow}", lambda *arguments: None)
    common = {"artifacts": str(tmp_path / "artifacts")}
    for level in range(6):
        for side in (0, 1):
            Rung(level=level, side=side, **common).run()
    return Rung(level=5, **common)


def test_completeness_visits_each_stage_once(ladder, monkeypatch):
    visited = []
    digests = StageTask._parent_digests
    monkeypatch.setattr(StageTask, "_parent_digests", lambda stage: visited.append(stage.identity) or digests(stage))
    assert ladder.complete()
    assert len(visited) == len(set(visited)) == 2 * 5 + 1


def test_inputs_are_opened_by_name_at_their_use(ladder, monkeypatch):
    assert ladder.open() == b"." * 2**5
    opened = []
    monkeypatch.setattr(Rung, "open", lambda stage: opened.append(stage.side))
    inputs = ladder.inputs
    assert list(inputs) == ["l", "r"]
    assert len(inputs) == 2
    assert not opened
    _ = inputs["r"]
    assert opened == [1]


def test_what_lies_below_a_deleted_artifact_is_not_complete_until_it_is_rebuilt(ladder):
    middle = ladder.required["l"].required["r"]
    middle.artifact.discard()
    assert not ladder.complete()
    middle.run()
    assert ladder.complete()


def test_a_damaged_input_is_taken_out_for_the_next_run(ladder):
    below = ladder.required["l"]
    (below.artifact.path / "text").write_bytes(b"#" * 2**4)
    ladder.artifact.discard()
    with pytest.raises(DamagedArtifactError, match="its hash is not the recorded one"):
        ladder.run()
    assert not below.complete()
    below.run()
    ladder.run()
    assert ladder.open() == b"." * 2**5


@pytest.mark.parametrize("fails", [False, True])
def test_an_input_that_is_made_anew_during_the_work_leaves_no_result(ladder, monkeypatch, fails):
    below, work = ladder.required["l"], Rung.work
    ladder.artifact.discard()

    def disturbed(self):
        images = work(self)
        write_bytes(below.artifact.path / "text", b"#" * 2**4)
        below.artifact.finish(below.artifact.marker.parents, below.identity)
        if fails:
            raise ValueError("what is read does not fit together")
        return images

    with monkeypatch.context() as patched:
        patched.setattr(Rung, "work", disturbed)
        with pytest.raises(StoreError, match=f"{below.artifact.path}: was made anew or removed while Rung read it"):
            ladder.run()
    assert not ladder.artifact.path.exists()
    ladder.run()
    assert ladder.complete()
    assert ladder.open() == b"#" * 2**4 + b"." * 2**4


def test_a_worker_process_gets_the_values_and_resolves_nothing(common, monkeypatch):
    task = TrainClassifier(**common, epochs=7)
    packed = pickle.dumps(task)
    monkeypatch.setattr(StageTask, "get_param_values", None)
    found = pickle.loads(packed)
    assert type(found) is TrainClassifier
    values = {name: getattr(found, name) for name, _ in task.get_params()}
    assert values == {**task.param_kwargs, "precision": "32"}  # what auto is on another machine does not matter


def test_the_description_is_what_the_identity_is_made_of(common):
    task = LoadDepth(**common)
    described = task.description()
    assert described["stage"] == "LoadDepth"
    assert described["version"] == LoadDepth.version
    assert described["parameters"] == task.parameters()
    assert list(described["parents"]) == [f"dataset {IndexDataset(**common).identity}"]


def test_an_artifact_that_was_copied_over_another_one_is_not_current(common):
    IndexDataset(**common).run()
    first, second = LoadDepth(**common, processes=1), LoadDepth(**common, processes=1, far=2.0)
    for task in (first, second):
        task.run()
    expected = second.artifact.digest()
    shutil.rmtree(second.artifact.path)
    shutil.copytree(first.artifact.path, second.artifact.path)
    assert not second.complete()
    second.run()
    assert second.complete()
    assert second.artifact.digest() == expected


@pytest.mark.parametrize("restored", [True, False])
@pytest.mark.parametrize("is_cut", [True, False])
def test_an_input_that_changes_while_it_is_read_leaves_no_result(common, bop_root, monkeypatch, restored, is_cut):
    IndexDataset(**common).run()
    depth = LoadDepth(**common, processes=1)
    path = sorted(bop_root.glob("train_pbr/*/depth/*.png"))[0]
    content, compute = path.read_bytes(), LoadDepth.compute

    def disturbed(self, sample, inputs):
        if sample.depth != path:
            return compute(self, sample, inputs)
        path.write_bytes(content[:40] if is_cut else sorted(bop_root.glob("train_pbr/*/depth/*.png"))[1].read_bytes())
        try:
            return compute(self, sample, inputs)
        finally:
            if restored:
                path.write_bytes(content)

    monkeypatch.setattr(LoadDepth, "compute", disturbed)
    with pytest.raises(DatasetError, match=f"{path.name}: was changed while it was read; run the same command again"):
        depth.run()
    assert not depth.artifact.path.exists()


def test_what_a_killed_run_has_read_from_a_changed_input_is_not_kept(common, bop_root, monkeypatch):
    IndexDataset(**common).run()
    depth = LoadDepth(**common, processes=1)
    path, other, *_ = sorted(bop_root.glob("train_pbr/*/depth/*.png"))
    content = path.read_bytes()

    def killed(self, artifact_parents, identity=""):
        raise KeyboardInterrupt

    assert depth.identity
    path.write_bytes(other.read_bytes())  # after the plan has hashed it
    with monkeypatch.context() as patched:
        patched.setattr(ShardedStore, "finish", killed)
        patched.setattr(WatchedFiles, "require_unchanged", lambda self: None)
        with pytest.raises(KeyboardInterrupt):
            depth.run()
    path.write_bytes(content)
    forget_instances()
    again = LoadDepth(**common, processes=1)
    assert again.identity == depth.identity
    again.run()
    found = again.artifact.read_image("depth", 0)
    shutil.rmtree(again.artifact.path)
    forget_instances()
    fresh = LoadDepth(**common, processes=1)
    fresh.run()
    np.testing.assert_array_equal(found, fresh.artifact.read_image("depth", 0))


def test_findings_stand_beside_the_result_and_in_the_log(common, monkeypatch, log_lines):
    monkeypatch.setattr(IndexDataset, "findings", lambda self: ["one image is odd"])
    task = IndexDataset(**common)
    task.run()
    assert "IndexDataset: WARNING: one image is odd" in log_lines
    assert warnings_of(task.artifact) == ["one image is odd"]


def test_a_result_of_no_use_is_not_complete(common, monkeypatch):
    def useless(self):
        raise QualityError("no pixel is labelled")

    monkeypatch.setattr(IndexDataset, "findings", useless)
    task = IndexDataset(**common)
    with pytest.raises(QualityError):
        task.run()
    assert not task.complete()
