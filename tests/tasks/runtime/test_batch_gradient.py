import copy
import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.backbones import freeze_batch_norm
from models.losses.whole_batch import count_in_batch, generator_of_batch, rows_of_batch, share_of_mean
from tasks.runtime.batch_gradient import BatchGradient, in_precision, learns_batch_norm
from tasks.runtime.ranks import Ranks, most_ranks

CPU = torch.device("cpu")
IMAGES = 5


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1))
        self.calls = []

    def forward(self, images):
        self.calls.append((len(images), torch.is_grad_enabled()))
        return self.layers(images)


def loss_of(network, batch, epochs):
    """A loss that divides by a count of the network's own output, and one with random numbers of the whole batch."""
    output = network(batch["image"])
    labels = output.detach().argmax(1).where(batch["label"] > 0, -1)
    labelled = count_in_batch((labels >= 0).sum()).clamp(min=1)
    whole, here = rows_of_batch(len(output))
    chosen = torch.rand(whole, 3, generator=generator_of_batch())[here]
    losses = {
        "seed": F.cross_entropy(output, labels, ignore_index=-1, reduction="sum") / labelled,
        "drawn": share_of_mean((output.mean((2, 3)) * chosen).mean(), len(output)),
    }
    return {**losses, "loss": epochs * sum(losses.values())}


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    share = torch.linspace(0, 0.9, IMAGES)[:, None, None]
    return {
        "image": torch.randn(IMAGES, 3, 6, 6, generator=generator),
        "label": (torch.rand(IMAGES, 6, 6, generator=generator) < share).long(),
    }


def gradients(batch, parts, frozen=True, steps=1):
    torch.manual_seed(0)
    network = Network().train()
    if frozen:
        freeze_batch_norm(network)
    gradient = BatchGradient(network, functools.partial(loss_of, network), CPU, Ranks(), IMAGES, parts)
    for _ in range(steps):
        network.zero_grad()
        network.calls.clear()
        torch.manual_seed(1)
        torch.empty((), dtype=torch.int64).random_()
        gradient.seed(1)
        losses = gradient(batch, 2.0)
    return losses, [value.grad for value in network.parameters() if value.grad is not None], network


@pytest.mark.parametrize("parts", [2, 3, 5, 99])
def test_parts_give_the_loss_and_the_gradient_of_the_batch(batch, parts):
    whole, expected, _ = gradients(batch, 1)
    losses, found, network = gradients(batch, parts)
    assert losses.keys() == whole.keys()
    for name, value in whole.items():
        torch.testing.assert_close(losses[name], value)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert max(size for size, _ in network.calls) == -(-IMAGES // min(parts, IMAGES))


def test_parts_are_counted_first_and_only_if_a_loss_asks_for_it(batch):
    *_, network = gradients(batch, 5, steps=2)
    assert network.calls == [(1, False)] * 5 + [(1, True)] * 5
    network = Network()
    gradient = BatchGradient(
        network, lambda b, _: {"loss": share_of_mean(network(b["image"]).mean(), len(b["image"]))}, CPU, Ranks(), 5, 5
    )
    for _ in range(2):
        network.calls.clear()
        gradient(batch, 1.0)
    assert network.calls == [(1, True)] * 5


def test_counting_changes_no_statistics(batch):
    *_, network = gradients(batch, 5, frozen=False)
    assert network.layers[1].num_batches_tracked == 5


def test_the_ranks_share_each_part():
    for size in range(1, 12):
        for count in range(1, size + 1):
            for parts in (1, 2, 3, 99):
                if count > most_ranks(size, parts):
                    continue
                places = [Ranks(rank, count).slices(size, parts) for rank in range(count)]
                items = list(range(size))
                own = [Ranks(rank, count).own(items, parts) for rank in range(count)]
                assert sorted(sum(own, [])) == items
                assert len({len(slices) for slices in places}) == 1  # else a rank would wait for ever
                assert all(place.stop > place.start for slices in places for place in slices)
                for together in zip(*places, strict=True):  # the images of a part do not depend on the ranks
                    assert all(a.stop == b.start for a, b in zip(together, together[1:], strict=False))


def test_a_network_in_bf16_returns_float32_and_trains_float32_weights():
    network = Network()
    alone = copy.deepcopy(network)
    in_precision(network, CPU, "bf16")
    images = torch.randn(2, 3, 6, 6)
    output, exact = network(images), alone(images)
    assert output.dtype == torch.float32
    assert not torch.equal(output, exact)
    torch.testing.assert_close(output, exact, rtol=0.05, atol=0.05)
    output.mean().backward()
    assert all(value.grad.dtype == torch.float32 for value in network.parameters())
    assert torch.equal(in_precision(alone, CPU, "32")(images), exact)


def test_batch_norm_learns_unless_it_is_frozen():
    network = Network()
    assert learns_batch_norm(network.train())
    assert not learns_batch_norm(freeze_batch_norm(network.train()))
    assert not learns_batch_norm(network.eval())
