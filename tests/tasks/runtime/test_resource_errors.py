import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from data.errors import ImageError, OutOfMemory, StoreError, WorkerError
from pipeline.write_report import WriteReport
from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.predict_folder import PredictFolder
from tasks.runtime.resource_errors import is_lack_of_memory, kills_for_memory, resource_errors_told, saving
from tasks.train_classifier import TrainClassifier

CUDA = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 9.30 GiB is "
    "free. If reserved but unallocated memory is large try setting PYTORCH_ALLOC_CONF=expandable_segments:True"
)
LOADER = (
    "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out of "
    "shared memory. Please try to raise your shared memory limit."
)


def allocate_with_numpy():
    np.empty(10**15)


def allocate_with_torch():
    torch.empty(10**15)


def allocate_with_onnxruntime():
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    onnxruntime.set_default_logger_severity(4)
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Expand", ["x", "shape"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", 1, [1]), helper.make_tensor_value_info("shape", 7, [2])],
        [helper.make_tensor_value_info("y", 1, [None, None])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    session.run(None, {"x": np.ones(1, np.float32), "shape": np.array([10**7, 10**7])})


def raising(error):
    def fail(*arguments):
        raise error

    return fail


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        (allocate_with_numpy, "Unable to allocate 7.11 PiB for an array with shape"),
        (
            allocate_with_torch,
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000000000000 bytes",
        ),
        (allocate_with_onnxruntime, "Failed to allocate memory for requested buffer of size 400000000000000"),
        (raising(MemoryError()), "(MemoryError)"),
        (raising(MemoryError("std::bad_alloc")), "(std::bad_alloc)"),
        (raising(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))), "Cannot allocate memory"),
        (raising(RuntimeError(LOADER)), "workers are out of shared memory"),
        (raising(RuntimeError("DataLoader worker (pid(s) 7) is killed by signal: Killed. ")), "Killed"),
    ],
)
def test_lack_of_memory_on_the_host_is_one_line(tmp_path, fail, reason):
    stage = DiscoverSuperpixels(processes=4)
    with pytest.raises(OutOfMemory, match=re.escape(reason)) as raised, resource_errors_told(stage, tmp_path):
        fail()
    line = str(raised.value)
    assert line.startswith("DiscoverSuperpixels: out of memory (")
    assert "fewer --processes (now 4)" in line
    assert "what is complete is kept" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(CUDA),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_lack_of_memory_on_the_gpu_is_one_line_with_the_flags_that_help(tmp_path, error):
    stage = TrainClassifier(batch_size=16, crop_size=512, loader_processes=0)
    with pytest.raises(OutOfMemory) as raised, resource_errors_told(stage, tmp_path):
        raise error
    line = str(raised.value)
    assert "a smaller --TrainClassifier-batch-size (now 16) or a smaller --TrainClassifier-crop-size (now 512)" in line
    assert " or --device cpu, then run the same command again" in line
    assert "processes" not in line
    assert "PYTORCH_ALLOC_CONF" not in line
    assert line.isprintable()


def test_the_flags_that_save_memory_are_those_of_the_stage():
    model, images = "artifacts/TrainSegmenter/1", "new"
    assert saving(PredictFolder(model, images, scales=(1.0, 0.5)), "") == "smaller --PredictFolder-scales (now 1,0.5)"
    assert "loader-processes (now 2)" in saving(TrainClassifier(loader_processes=2), "")
    assert saving(DiscoverSuperpixels(processes=0), "") == "fewer --processes (now one per core)"
    assert saving(WriteReport(), "CUDA") == "--device cpu"


def test_a_full_disk_is_one_line(tmp_path):
    stage = DiscoverSuperpixels()
    with (
        pytest.raises(
            StoreError, match=rf"{tmp_path}: No space left on device; check the disk space and the file perm"
        ),
        resource_errors_told(stage, tmp_path),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("error", [TimeoutError("No valid workers found"), ConnectionResetError("closed")])
def test_a_lost_connection_is_not_told_as_a_full_disk(tmp_path, error):
    line = f"DiscoverSuperpixels: a connection failed .{error}.; completed shards are kept; check the network"
    with pytest.raises(WorkerError, match=line), resource_errors_told(DiscoverSuperpixels(), tmp_path):
        raise error


@pytest.mark.parametrize(
    "error", [ImageError("1.png: out of memory lane"), ZeroDivisionError("bug"), RuntimeError("bug")]
)
def test_other_errors_stay_as_they_are(tmp_path, error):
    with pytest.raises(type(error)) as raised, resource_errors_told(DiscoverSuperpixels(), tmp_path):
        raise error
    assert raised.value is error
    assert not is_lack_of_memory(ZeroDivisionError("bug"))


def test_the_kernel_says_how_many_processes_it_has_ended(monkeypatch):
    monkeypatch.setattr(
        Path, "read_text", lambda path: f"nr_free_pages 9\noom_kill {len(str(path))}\nballoon_inflate 0\n"
    )
    assert kills_for_memory() == len("/proc/vmstat")
    monkeypatch.undo()
    monkeypatch.setattr(Path, "read_text", raising(FileNotFoundError()))
    assert kills_for_memory() == 0
