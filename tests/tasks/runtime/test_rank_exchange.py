import pytest

from data.errors import DamagedArtifactError, TrainingError, WorkerError
from tasks.index_dataset import IndexDataset
from tasks.runtime.device_use import DeviceUse
from tasks.runtime.luigi_seam import forget_instances
from tasks.runtime.rank_exchange import RankExchange
from tasks.train_classifier import TrainClassifier


@pytest.fixture
def exchange(tmp_path):
    folder = tmp_path / "exchange"
    folder.mkdir()
    return RankExchange(folder)


def test_the_stage_arrives_as_it_was_with_all_stages_upstream(exchange, in_process, bop_root, tmp_path):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    stage = TrainClassifier(**common, epochs=7)
    stage.required["depth"] = stage.required["depth"].clone(noise=0.5)  # as --LoadDepth-noise, which a rank has not
    stage.required["dataset"].run()
    identity, upstream = stage.identity, {name: above.identity for name, above in stage.required.items()}
    exchange.prepare(stage)
    forget_instances()
    found = exchange.stage()
    assert type(found) is TrainClassifier
    assert (found.epochs, found.identity) == (7, identity)
    assert {name: above.identity for name, above in found.required.items()} == upstream
    assert found.required["depth"].noise == 0.5
    assert isinstance(found.required["depth"].required["dataset"], IndexDataset)
    assert found.artifact.path == stage.artifact.path
    assert len(found.inputs["dataset"].samples) == 15


def test_what_earlier_ranks_have_left_is_removed(exchange, in_process, bop_root, tmp_path):
    exchange.write_failure(1, TrainingError("old"))
    exchange.write_result(3, DeviceUse())
    exchange.prepare(IndexDataset(dataset="bop", data_root=str(bop_root), artifacts=str(tmp_path / "artifacts")))
    assert exchange.failures() == {}
    assert exchange.result() is None


def test_progress_and_result(exchange):
    assert exchange.progress() is None
    exchange.write_progress(3, 10, "epoch")
    assert exchange.progress() == (3, 10, "epoch")
    assert exchange.result() is None
    use = DeviceUse("cpu", 1.0, 2.0, 3)
    exchange.write_result(40, use)
    assert exchange.result() == (40, use)
    exchange.remove()
    assert not exchange.folder.exists()


def test_a_request_for_a_checkpoint_is_taken_once(exchange):
    assert not exchange.is_asked()
    exchange.ask_for_checkpoint()
    assert exchange.is_asked()
    assert not exchange.is_asked()


def test_the_error_for_the_user_comes_before_what_follows_from_it(exchange):
    exchange.write_failure(0, RuntimeError("Connection closed by peer\nsecond line"))
    exchange.write_failure(1, DamagedArtifactError("folder", "file", "reason"))
    exchange.write_killed(2, "SIGKILL")
    error = exchange.error("TrainCoarse")
    assert isinstance(error, DamagedArtifactError)
    assert (error.artifact, error.reason) == ("folder", "reason")


def test_else_it_says_how_a_rank_ended_and_where_the_log_is(exchange):
    exchange.write_failure(0, RuntimeError("Connection closed by peer\nsecond line"))
    told = str(exchange.error("TrainCoarse"))
    assert "TrainCoarse: rank 0 failed (RuntimeError: Connection closed by peer), so" in told
    assert str(exchange.log) in told
    exchange.write_killed(1, "SIGKILL")  # found later: torchrun looks ten times in a second
    told = str(exchange.error("TrainCoarse"))
    assert told.startswith("TrainCoarse: rank 1 was ended by SIGKILL, so all ranks have stopped; their log is ")


def test_without_any_word_it_still_is_one_line(exchange):
    error = exchange.error("TrainCoarse")
    assert isinstance(error, WorkerError)
    assert "the ranks have ended without a result" in str(error)
