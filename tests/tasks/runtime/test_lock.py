import threading

import pytest

from data.errors import StoreError
from tasks.runtime.lock import artifact_lock


def test_a_second_run_waits_until_the_first_has_ended(tmp_path, log_lines):
    order, held, waiting = [], threading.Event(), threading.Event()

    def second():
        held.wait(10)
        waiting.set()
        with artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with artifact_lock(tmp_path, "LoadDepth", "LoadDepth-abc"):
        held.set()
        waiting.wait(10)
        thread.join(0.3)
        assert thread.is_alive()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert log_lines == ["LoadDepth: another run is computing LoadDepth-abc; waiting for it"]


def test_another_artifact_has_another_lock(tmp_path):
    with artifact_lock(tmp_path, "LoadDepth", "one"), artifact_lock(tmp_path, "LoadDepth", "two"):
        assert {path.name for path in (tmp_path / ".locks").iterdir()} == {"one.lock", "two.lock"}


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="broken"), artifact_lock(tmp_path, "LoadDepth", "one"):
        raise ValueError("broken")
    with artifact_lock(tmp_path, "LoadDepth", "one"):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match=r"file/.locks: cannot be written \(.*\); choose another folder"),
        artifact_lock(tmp_path / "file", "LoadDepth", "one"),
    ):
        pass
