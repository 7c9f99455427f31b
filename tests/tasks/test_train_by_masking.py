"""The whole loss of the method masking, without a training."""

import pytest
import torch
from torch import nn

from models.losses import SaliencyLoss
from tasks.train_by_masking import TrainByMasking

ATTENTION = 0.7


@pytest.fixture
def loss_of(in_process, bop_root, monkeypatch):
    """A function attention weight -> (the loss of a batch, the batch, the class scores at three input scales)."""
    torch.manual_seed(0)
    batch = {
        "image": torch.zeros(2, 3, 4, 5),
        "tags": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        "salient": torch.randint(0, 2, (2, 4, 5)),
    }
    at_scales = list(torch.randn(3, 2, 3, 4, 5))
    found = {}
    monkeypatch.setattr(TrainByMasking, "inputs", {"saliency": None})
    monkeypatch.setattr(TrainByMasking, "new_network", lambda stage: nn.Identity())
    monkeypatch.setattr(TrainByMasking, "training_images", lambda stage, maps: None)
    monkeypatch.setattr(TrainByMasking, "logits_at_scales", lambda stage, network, images, size: at_scales)
    monkeypatch.setattr(TrainByMasking, "train", lambda stage, network, images, loss: found.update(loss=loss) or 0)

    def attention(stage):
        def loss(logits, images, tags):
            assert logits is at_scales[0]  # of the first scale alone
            return torch.tensor(ATTENTION)

        return loss

    monkeypatch.setattr(TrainByMasking, "_attention_loss", attention)

    def loss_of(weight):
        TrainByMasking(dataset="bop", data_root=str(bop_root), attention_weight=weight).learn()
        return found["loss"](batch, 0.0), batch, at_scales

    return loss_of


@pytest.mark.parametrize("weight", [2.0, 0.5])
def test_it_is_the_weighted_sum_of_eq_2_12(loss_of, weight):
    """l = l_sal + lambda l_attn; l_sal is the sum over the input scales (section 2.3.3)."""
    losses, batch, at_scales = loss_of(weight)
    saliency = sum(float(SaliencyLoss()(logits, batch["salient"], batch["tags"])) for logits in at_scales)
    assert float(losses["saliency"]) == pytest.approx(saliency)
    assert float(losses["attention"]) == pytest.approx(ATTENTION)
    assert float(losses["loss"]) == pytest.approx(saliency + weight * ATTENTION)


def test_without_a_weight_there_is_no_attention_loss(loss_of):
    losses, _, _ = loss_of(0.0)
    assert losses.keys() == {"saliency", "loss"}
    assert torch.equal(losses["loss"], losses["saliency"])
