"""Every loss of a training, in parts: the losses and gradients of the parts add up to those of the whole batch."""

import pytest
import torch

from models.cam.classifier import CamClassifier, CamOutput
from models.cam.dilated import cam_loss
from models.losses import (
    AttentionLoss,
    BalancedSeedLoss,
    DepthEdgeAlignmentLoss,
    FeatureSimilarityLoss,
    ImportanceSamplingLoss,
    SaliencyLoss,
    SuperpixelSlicLoss,
)
from models.losses.whole_batch import BatchPart, count_in_batch, part_of_batch, rows_of_batch, share_of_mean

UNLABELLED = 65535
IMAGES, CLASSES, SIDE = 5, 3, 12


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(IMAGES, *shape, generator=generator, dtype=torch.float64)

    # The labels are spread unevenly: an image has many, another one has none.
    share = torch.linspace(0, 0.9, IMAGES)[:, None, None]
    drawn = torch.rand(IMAGES, SIDE, SIDE, generator=generator)
    labels = torch.randint(0, CLASSES + 1, drawn.shape, generator=generator).where(drawn < share, UNLABELLED)
    return {
        "logits": normal(CLASSES + 1, SIDE, SIDE),
        "maps": normal(CLASSES, 4, 4),
        "images": normal(3, SIDE, SIDE),
        "colours": normal(3, SIDE, SIDE).sigmoid(),
        "depth": normal(1, SIDE, SIDE).exp(),
        "shares": normal(9, SIDE, SIDE),
        "labels": labels,
        "salient": labels.clamp(max=1).where(labels != UNLABELLED, UNLABELLED),
        "tags": (torch.rand(IMAGES, CLASSES, generator=generator) < 0.6).double(),
    }


def classification(values, tags):
    scores = values.mean((2, 3))
    return CamClassifier().classification_losses(None, tags, CamOutput(scores, values, values))["classification"]


def masked(logits, images, tags):
    return AttentionLoss(2)(logits, images, tags, lambda seen: seen.mean((2, 3)))


LOSSES = {
    "seed": ("logits", lambda values, b: BalancedSeedLoss()(values, b["labels"])),
    "saliency": ("logits", lambda values, b: SaliencyLoss()(values, b["salient"], b["tags"])),
    "attention": ("logits", lambda values, b: masked(values, b["images"], b["tags"])),
    "deal": ("maps", lambda values, b: DepthEdgeAlignmentLoss(stride=2)(values, b["depth"], b["tags"])),
    "fsl": ("maps", lambda values, b: FeatureSimilarityLoss(stride=3)(values, b["colours"], b["tags"])),
    "isl": ("maps", lambda values, b: ImportanceSamplingLoss(7)(values, b["tags"])),
    "slic": ("shares", lambda values, b: SuperpixelSlicLoss()(b["colours"], [values.softmax(1)])),
    "classification": ("maps", lambda values, b: classification(values, b["tags"])),
    "dilated": ("maps", lambda values, b: cam_loss(values.roll(1, -1), values, b["tags"])),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("sizes", [[2, 3], [1, 1, 3], [1] * 5])
def test_parts_add_up_to_the_whole(batch, name, sizes):
    key, loss_of = LOSSES[name]
    leaf = batch[key].clone().requires_grad_()
    torch.manual_seed(1)
    whole = loss_of(leaf, batch)
    whole.backward()
    counts = counted(batch, key, loss_of, sizes)
    parts, gradients, first = [], [], 0
    for number, size in enumerate(sizes):
        here = {other: values.split(sizes)[number] for other, values in batch.items()}
        part = here[key].clone().requires_grad_()
        draws, known = torch.Generator().manual_seed(1), iter(counts)
        with part_of_batch(BatchPart(IMAGES, first, lambda count, known=known: next(known), draws)):
            loss = loss_of(part, here)
        loss.backward()
        parts.append(loss.detach())
        gradients.append(part.grad)
        first += size
    torch.testing.assert_close(sum(parts), whole.detach())
    torch.testing.assert_close(torch.cat(gradients), leaf.grad)
    assert whole != 0


def counted(batch, key, loss_of, sizes):
    """The counts of the whole batch: those for which the parts ask, added up."""
    asked, first = [], 0
    for number, size in enumerate(sizes):
        here, mine = {other: values.split(sizes)[number] for other, values in batch.items()}, []
        with part_of_batch(BatchPart(IMAGES, first, lambda count, mine=mine: mine.append(count) or count)):
            loss_of(here[key], here)
        asked.append(mine)
        first += size
    return [sum(counts) for counts in zip(*asked, strict=True)]


def test_a_batch_in_one_piece_is_left_as_it_is():
    value = torch.tensor(3.0)
    assert share_of_mean(value, 4) is value
    assert count_in_batch(value) is value
    assert rows_of_batch(4) == (4, slice(None))


def test_after_a_part_the_batch_is_in_one_piece_again():
    with part_of_batch(BatchPart(8, 2, lambda count: count)):
        assert rows_of_batch(3) == (8, slice(2, 5))
    with pytest.raises(ZeroDivisionError), part_of_batch(BatchPart(8, 2, lambda count: count)):
        _ = 1 / 0
    assert rows_of_batch(3) == (3, slice(None))
