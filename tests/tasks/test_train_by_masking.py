"""The whole loss of the method masking, without a training."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from models.losses import SaliencyLoss
from tasks.runtime.networks import normalisation_of
from tasks.runtime.trained_model import TrainedModel
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


@pytest.mark.parametrize("of_classifier", ["tf_efficientnet_lite0", "test_efficientnet"])
def test_the_classifier_sees_images_in_its_own_normalisation(in_process, bop_root, monkeypatch, of_classifier):
    """As in its own training: also if its backbone wants other means than that of the mask."""
    ours, theirs = normalisation_of("test_efficientnet"), normalisation_of(of_classifier)
    seen = []

    class Classifier(nn.Module):
        def forward(self, images):
            seen.append(images)
            return SimpleNamespace(scores=images.mean((2, 3))[:, :2])

    classifier = TrainedModel(Classifier(), ("background", "a", "b"), theirs, (4, 5))
    inputs = {"classifier": SimpleNamespace(load=lambda device: classifier)}
    monkeypatch.setattr(TrainByMasking, "inputs", inputs)
    stage = TrainByMasking(
        dataset="bop", data_root=str(bop_root), backbone="test_efficientnet", start="pretrained", device="cpu",
        paths=1, settings={"TrainClassifier": {"backbone": of_classifier}},
    )  # fmt: skip
    colours = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    nothing = torch.zeros(2, 3, 4, 5)
    nothing[:, 0] = 1e4  # no pixel is of a class, so nothing is erased
    stage._attention_loss()(nothing, ours(colours), torch.ones(2, 2))
    assert torch.allclose(seen[0], theirs(colours), atol=1e-5)
    if theirs == ours:
        assert torch.equal(seen[0], ours(colours))
    seen.clear()
    everything = torch.zeros(2, 3, 4, 5)
    everything[:, 1] = 1e4
    torch.manual_seed(0)
    stage._attention_loss()(everything, ours(colours), torch.tensor([[1.0, 0.0]] * 2))
    erased = [bool((image == 0).all()) for image in seen[0]]  # 0 is the mean colour of the classifier (eq. 2.9)
    assert sorted(erased) == [False, True]  # b was drawn


def test_another_backbone_of_the_classifier_gives_the_training_a_new_identity(in_process, bop_root):
    """Its images were not normalised for the classifier, once."""

    def contents(backbone):
        settings = {"TrainClassifier": {"backbone": backbone}}
        common = {"dataset": "bop", "data_root": str(bop_root), "settings": settings, "start": "pretrained"}
        return TrainByMasking(**common, backbone="test_efficientnet").content_identity()

    same, other = contents("test_efficientnet"), contents("tf_efficientnet_lite0")
    assert same.keys() == {"weights"}
    assert other.keys() - same.keys() == {"images of the classifier"}
