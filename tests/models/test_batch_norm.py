"""Two threads stand for two processes: each has its part of a batch, and they add up over a barrier."""

import copy
import threading

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from models.batch_norm import SynchronisedBatchNorm


class Sum:
    """Adds up the tensors of threads."""

    def __init__(self, count):
        self.parts, self.barrier = [None] * count, threading.Barrier(count, timeout=20)

    def of(self, number):
        def add_up(values):
            self.parts[number] = values
            self.barrier.wait()
            total = sum(part.clone() for part in self.parts)
            self.barrier.wait()
            return total

        return add_up


def in_parts(network, images, sizes):
    """Outputs, gradients of the images and parameters, and buffers of a network whose batch is cut into parts."""
    total, found, errors = Sum(len(sizes)), [None] * len(sizes), []

    def compute(number, part):
        try:
            mine, part = copy.deepcopy(network), part.detach().clone().requires_grad_()
            with SynchronisedBatchNorm(total.of(number)):
                output = mine(part)
            output.pow(3).sum().backward()
            found[number] = output.detach(), part.grad, mine
        except Exception as error:  # noqa: BLE001, it is of the test's own thread
            errors.append(error)
            total.barrier.abort()

    threads = [threading.Thread(target=compute, args=(number, part)) for number, part in enumerate(images.split(sizes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    gradients = [sum(each.grad for each in of_one) for of_one in zip(*(m.parameters() for *_, m in found), strict=True)]
    return torch.cat([f[0] for f in found]), torch.cat([f[1] for f in found]), gradients, [f[2] for f in found]


LAYERS = {
    "plain": lambda: nn.BatchNorm2d(3),
    "without scale": lambda: nn.BatchNorm2d(3, affine=False),
    "without statistics": lambda: nn.BatchNorm2d(3, track_running_stats=False),
    "mean of all": lambda: nn.BatchNorm2d(3, momentum=None),
    "of timm": lambda: BatchNormAct2d(3),
    "twice": lambda: nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3)),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("sizes", [[2, 2], [1, 4], [2, 1, 3]])
def test_parts_are_as_the_whole_batch(layer, sizes):
    torch.manual_seed(0)
    network = LAYERS[layer]().double()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.5, 2.0)
    images = torch.randn(sum(sizes), 3, 4, 5, dtype=torch.float64) * 3 + 1
    whole, leaf = copy.deepcopy(network), images.clone().requires_grad_()
    output = whole(leaf)
    output.pow(3).sum().backward()
    outputs, of_images, gradients, parts = in_parts(network, images, sizes)
    torch.testing.assert_close(outputs, output.detach())
    torch.testing.assert_close(of_images, leaf.grad)
    for found, parameter in zip(gradients, whole.parameters(), strict=True):
        torch.testing.assert_close(found, parameter.grad)
    for part in parts:
        for found, buffer in zip(part.buffers(), whole.buffers(), strict=True):
            torch.testing.assert_close(found, buffer)


def test_without_it_parts_differ():
    torch.manual_seed(0)
    images = torch.randn(4, 3, 4, 5)
    network = nn.BatchNorm2d(3)
    assert not torch.allclose(torch.cat([network(part) for part in images.split(2)]), network(images), atol=1e-2)


def test_the_gradient_is_that_of_the_function():
    layer = nn.BatchNorm2d(2).double()

    def normalised(images, weight, bias):
        with SynchronisedBatchNorm(lambda values: values.clone()):
            return nn.functional.batch_norm(images, None, None, weight, bias, training=True)

    images = torch.randn(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    weight, bias = (values.detach().clone().requires_grad_() for values in (layer.weight, layer.bias))
    assert torch.autograd.gradcheck(normalised, (images, weight, bias))


def test_in_evaluation_mode_nothing_is_added_up():
    network, images = nn.BatchNorm2d(3).eval(), torch.randn(2, 3, 4, 4)

    def never(values):
        raise AssertionError

    with SynchronisedBatchNorm(never):
        output = network(images)
    assert torch.equal(output, network(images))


def test_memory_format_and_type_stay():
    network = nn.BatchNorm2d(3)
    images = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    with SynchronisedBatchNorm(lambda values: values):
        output = network(images)
    assert output.dtype == torch.float32
    assert output.is_contiguous(memory_format=torch.channels_last)


def test_in_bfloat16_the_mean_of_the_result_is_zero():
    torch.manual_seed(0)
    network = nn.BatchNorm2d(2)
    images = (20.06 + 0.3 * torch.randn(8, 2, 16, 16)).bfloat16()
    with SynchronisedBatchNorm(lambda values: values):
        output = network(images)
    assert output.dtype == torch.bfloat16
    assert output.float().mean((0, 2, 3)).abs().max() < 1e-2
