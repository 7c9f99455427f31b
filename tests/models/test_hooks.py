"""Hooks of one thread, and networks with hooks that two threads use at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from models.cam import build_classifier
from models.features import build_key_extractor


@pytest.mark.parametrize(
    ("network", "result"),
    [
        (lambda: build_key_extractor("vit_tiny_patch16_224", 16), lambda keys: keys),
        (lambda: build_classifier(3, head="vit", backbone="vit_tiny_patch16_224"), lambda output: output.cams),
    ],
)
def test_two_threads_use_a_network_at_once_without_mixing_their_images(network, result):
    torch.manual_seed(0)
    network = network().eval()
    images = [torch.rand(1, 3, 64 + 16 * (n % 3), 64) for n in range(12)]

    def compute(image):
        with torch.inference_mode():
            return result(network(image))

    alone = [compute(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(compute, images))
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(alone, together, strict=True))
