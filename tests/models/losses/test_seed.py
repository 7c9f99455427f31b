import math

import pytest
import torch

from models.label_values import UNLABELLED
from models.losses import BalancedSeedLoss
from models.losses.seed import balanced_seed_loss


def reference(logits, seeds):
    """Eq. 3.8 in loops, float64."""
    background, foreground = [], []
    for b in range(logits.shape[0]):
        for i in range(logits.shape[2]):
            for j in range(logits.shape[3]):
                label = int(seeds[b, i, j])
                if label == UNLABELLED:
                    continue
                scores = [float(value) for value in logits[b, :, i, j]]
                log_probability = scores[label] - math.log(sum(math.exp(score) for score in scores))
                (background if label == 0 else foreground).append(log_probability)
    return -sum(sum(part) / len(part) for part in (background, foreground) if part)


def random_case(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 4, 5, 6, generator=generator, dtype=torch.float64)
    seeds = torch.tensor([0, 1, 2, 3, UNLABELLED])[torch.randint(5, (2, 5, 6), generator=generator)]
    return logits, seeds


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_loops(seed):
    logits, seeds = random_case(seed)
    assert float(balanced_seed_loss(logits, seeds)) == pytest.approx(reference(logits, seeds), rel=1e-12)


@pytest.mark.parametrize("missing", ["background", "foreground"])
def test_without_one_kind_only_the_other_counts(missing):
    logits, seeds = random_case(0)
    seeds[(seeds == 0) if missing == "background" else ((seeds > 0) & (seeds < UNLABELLED))] = UNLABELLED
    assert float(balanced_seed_loss(logits, seeds)) == pytest.approx(reference(logits, seeds), rel=1e-12)


def test_all_unlabelled_gives_zero_and_no_gradient():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = BalancedSeedLoss()(logits, torch.full((1, 4, 4), UNLABELLED))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not logits.grad.any()


def test_background_counts_as_much_as_foreground_however_many_pixels():
    logits = torch.zeros(1, 2, 10, 10)
    seeds = torch.zeros(1, 10, 10, dtype=torch.int64)
    seeds[0, 0, 0] = 1  # a 1-pixel object
    assert float(balanced_seed_loss(logits, seeds)) == pytest.approx(2 * math.log(2))


def test_unlabelled_pixels_get_no_gradient():
    logits, seeds = random_case(1)
    logits.requires_grad_()
    balanced_seed_loss(logits, seeds).backward()
    unlabelled = (seeds == UNLABELLED)[:, None].expand_as(logits)
    assert not logits.grad[unlabelled].any()
    assert logits.grad[~unlabelled].all()


def test_class_255_counts():
    logits, seeds = torch.zeros(1, 301, 1, 3), torch.tensor([[[255, 300, UNLABELLED]]])
    logits[0, 255, 0, 0] = logits[0, 300, 0, 1] = 9.0
    right = float(balanced_seed_loss(logits, seeds))
    assert right == pytest.approx(math.log(1 + 300 * math.exp(-9)), rel=1e-4)
    assert float(balanced_seed_loss(logits, seeds.flip(2))) > right + 2


def test_gradcheck():
    logits, seeds = random_case(2)
    assert torch.autograd.gradcheck(lambda x: balanced_seed_loss(x, seeds), logits.requires_grad_())


def test_shapes_that_do_not_agree_are_named():
    with pytest.raises(ValueError, match=r"expected logits .* seeds \(B, H, W\)"):
        balanced_seed_loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 5))
