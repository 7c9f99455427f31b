"""Networks over the images of shards: order, batches, errors, what waits, and what is under way at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from data.errors import ImageError
from data.sample import TRAIN, Sample
from tasks.runtime import network_map
from tasks.runtime.network_map import BatchNetwork, NetworkMap, NetworkSource

CPU = torch.device("cpu")


def sample(name, size=(4, 6)):
    return Sample(name, TRAIN, None, (1,), size=size)


def network(infer=None, results=None, read=None, lanes=0):
    return BatchNetwork(
        CPU,
        infer or (lambda images, samples: {"mean": images.float().mean((1, 2, 3))}),
        results or (lambda found, samples: [(one.image_id, float(m)) for one, m in zip(samples, found["mean"])]),
        read or (lambda sample: torch.full((3, *sample.size), int(sample.image_id), dtype=torch.uint8)),
        lanes,
    )  # fmt: skip


def test_results_come_in_the_order_of_shards_and_images_though_batches_end_in_any_order():
    def slow_first(images, samples):
        time.sleep(0.05 if samples[0].image_id == "0" else 0.0)
        return {"mean": images.float().mean((1, 2, 3))}

    shards = [[sample("0"), sample("1", (5, 5)), sample("2")], [sample("3")], [sample("4"), sample("5", (2, 2))]]
    found = list(NetworkMap(network(slow_first), 8, 1.0, lanes=4).shards(shards))
    assert found == [[("0", 0.0), ("1", 1.0), ("2", 2.0)], [("3", 3.0)], [("4", 4.0), ("5", 5.0)]]


def test_on_the_cpu_each_image_is_alone_and_computed_with_one_torch_thread():
    seen = []

    def infer(images, samples):
        seen.append((len(images), torch.get_num_threads(), torch.is_inference_mode_enabled()))
        return {"mean": images.float().mean((1, 2, 3))}

    before = torch.get_num_threads()
    list(NetworkMap(network(infer), 8, 1.0, lanes=2).shards([[sample(str(n)) for n in range(5)]]))
    assert seen == [(1, 1, True)] * 5
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("lanes", "limit", "most"), [(1, 0, 1), (3, 0, 3), (3, 1, 1)])
def test_as_many_batches_are_computed_at_once_as_there_are_lanes(lanes, limit, most):
    lock, now, peak = threading.Lock(), 0, 0

    def infer(images, samples):
        nonlocal now, peak
        with lock:
            now += 1
            peak = max(peak, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return {"mean": images.float().mean((1, 2, 3))}

    list(NetworkMap(network(infer, lanes=limit), 1, 1.0, lanes).shards([[sample(str(n)) for n in range(12)]]))
    assert peak == most


def test_images_of_the_next_shard_are_decoded_before_the_first_is_taken_and_never_all():
    read = []

    def remember(sample):
        read.append(sample.image_id)
        return torch.zeros(3, *sample.size, dtype=torch.uint8)

    shards = NetworkMap(network(read=remember), 1, 1.0, lanes=1).shards([[sample(str(n))] for n in range(50)])
    next(shards)
    end = time.monotonic() + 60
    while len(read) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
    assert 1 < len(read) < 5
    shards.close()
    assert len(read) < 8


def test_an_error_of_an_image_is_raised_and_nothing_hangs():
    def read(sample):
        if sample.image_id == "7":
            raise ImageError("7: cannot be decoded")
        return torch.zeros(3, *sample.size, dtype=torch.uint8)

    with pytest.raises(ImageError, match="7: cannot be decoded"):
        list(NetworkMap(network(read=read), 4, 1.0, lanes=2).shards([[sample(str(n)) for n in range(40)]]))


def test_how_long_the_device_waited_is_measured():
    def slow(sample):
        time.sleep(0.05)
        return torch.zeros(3, *sample.size, dtype=torch.uint8)

    starving = NetworkMap(network(read=slow), 1, 1.0, lanes=1)
    list(starving.shards([[sample(str(n))] for n in range(8)]))
    assert starving.use.device == "cpu"
    assert starving.use.wait_share > 0.5

    def busy(images, samples):
        time.sleep(0.05)
        return {"mean": images.float().mean((1, 2, 3))}

    fed = NetworkMap(network(infer=busy), 1, 1.0, lanes=1)
    list(fed.shards([[sample(str(n))] for n in range(8)]))
    assert fed.use.wait_share < 0.5


def test_bf16_computes_in_bfloat16_and_hands_out_float32():
    seen = []

    def infer(images, samples):
        product = images.float().flatten(1) @ torch.ones(images[0].numel(), 1)
        seen.append(product.dtype)
        return {"mean": product[:, 0]}

    def results(found, samples):
        seen.append(found["mean"].dtype)
        return list(found["mean"])

    list(NetworkMap(network(infer, results), 1, 1.0, 1, "bf16").shards([[sample("3")]]))
    assert seen == [torch.bfloat16, torch.float32]


class Counted(NetworkSource):
    """Counts its loads; the network is its own key."""

    loads: list = []  # noqa: RUF012

    def load(self):
        self.loads.append(self.key)
        time.sleep(0.02)
        return self.key


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setattr(network_map, "_KEPT", {})
    monkeypatch.setattr(Counted, "loads", [])
    return lambda key: Counted(None, {}, key, 1, 1.0)


def test_jobs_of_one_network_in_several_threads_load_it_once(counted):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda key: counted(key).kept(), ["one"] * 8))
    assert found == ["one"] * 8
    assert Counted.loads == ["one"]


def test_a_job_keeps_its_network_though_another_thread_asks_for_another_one(counted, monkeypatch):
    other = threading.Thread(target=lambda: counted("two").kept())

    class Interrupted(dict):
        def __setitem__(self, key, value):
            super().__setitem__(key, value)
            if key == "one":
                other.start()
                other.join(0.2)

    monkeypatch.setattr(network_map, "_KEPT", Interrupted())
    assert counted("one").kept() == "one"
    other.join()
    assert list(network_map._KEPT) == ["two"]
