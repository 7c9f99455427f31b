import pytest
import torch
from timm.models.vgg import VGG

from models.backbones import WITH_STAGES
from models.segmentation.superpixel_fcn import SuperpixelFcn, build_encoder, superpixels_of


@pytest.mark.parametrize("upsampling", ["superpixel", "bilinear"])
def test_logits_have_the_size_of_the_images(upsampling):
    torch.manual_seed(0)
    network = SuperpixelFcn(build_encoder("test_efficientnet"), 4, upsampling)
    output = network(torch.randn(2, 3, 45, 70))
    assert output.logits.shape == (2, 4, 45, 70)
    sizes = [tuple(step.shape[1:]) for step in output.steps]
    assert sizes == ([] if upsampling == "bilinear" else [(9, 64, 96), (9, 32, 48), (9, 16, 24), (9, 8, 12)])
    output.logits.square().mean().backward()
    assert all(parameter.grad is not None for name, parameter in network.named_parameters() if "backbone" not in name)


def test_probabilities_are_averaged_over_scales_and_mirror_images():
    network = SuperpixelFcn(build_encoder("test_efficientnet"), 3).eval()
    images = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        found = network.predict(images, (1.0,), flip=True)
        plain, mirrored = (network(seen).logits.softmax(1) for seen in (images, images.flip(-1)))
    assert torch.allclose(found, (plain + mirrored.flip(-1)) / 2, atol=1e-6)


def test_superpixels_follow_the_largest_share():
    own = torch.zeros(1, 9, 4, 8)
    own[:, 4] = 1.0
    assert superpixels_of([own]).tolist()[0] == [[0, 0, 1, 1, 2, 2, 3, 3]] * 2 + [[4, 4, 5, 5, 6, 6, 7, 7]] * 2
    right = own.clone()
    right[:, 4, :, 1], right[:, 5, :, 1] = 0.2, 0.8
    assert superpixels_of([right])[0, 0].tolist() == [0, 1, 1, 1, 2, 2, 3, 3]
    fine = torch.zeros(1, 9, 8, 16)
    fine[:, 4] = 1.0
    assert superpixels_of([fine, own])[0, 0].tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "test_convnext"])
def test_an_encoder_without_these_stages_is_refused(name):
    with pytest.raises(ValueError, match="strides .* are needed; choose a CNN such as resnet50"):
        build_encoder(name)


def test_a_vgg_of_a_timm_that_cannot_give_its_stages_is_refused_for_that_reason(monkeypatch):
    """As timm 1.0.29, whose VGG has the strides, but no such method."""
    monkeypatch.delattr("timm.models.vgg.VGG.forward_intermediates", raising=False)
    with pytest.raises(ValueError, match="'vgg11' .it has no forward_intermediates there.; upgrade timm, or choose"):
        build_encoder("vgg11")


@pytest.mark.parametrize("name", WITH_STAGES.split(" or "))
def test_the_names_of_the_error_line_work(name):
    build_encoder(name)


def test_vgg16_is_the_papers_encoder():
    if not hasattr(VGG, "forward_intermediates"):
        pytest.skip("this release of timm cannot give the stages of a VGG")
    network = SuperpixelFcn(build_encoder("vgg16_bn"), 2).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 32, 32)).logits.shape == (1, 2, 32, 32)
