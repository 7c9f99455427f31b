import math

import pytest
import torch
import torch.nn.functional as F

from models.depth_edges import sobel_magnitude
from models.depth_noise import depth_noise
from models.losses import DepthEdgeAlignmentLoss
from models.losses.deal import (
    DEPTH_EDGES,
    EPSILON,
    DepthEdges,
    _largest_of_cells,
    cam_edge_strength,
    edge_strength,
    gate,
)


def reference_gate(e, mu):
    e = min(max(e, EPSILON), 1 - EPSILON)
    return math.tanh(mu + math.log(e / (1 - e)))


def reference_loss(cam_edges, depth_edges, known, tags, mu):
    """The equation of the class in loops over pixels and classes."""
    batch, classes, height, width = cam_edges.shape
    total = 0.0
    for b in range(batch):
        present = sum(int(y) for y in tags[b])
        value = 0.0
        for i in range(height):
            for j in range(width):
                if not known[b, 0, i, j]:
                    continue
                d = reference_gate(float(depth_edges[b, 0, i, j]), mu)
                for k in range(classes):
                    if tags[b, k]:
                        value += reference_gate(float(cam_edges[b, k, i, j]), mu) * d / present
        total += -value / (height * width)
    return total / batch


def reference_strength(found, floor, span, noise_factor):
    """Floor of each cell from steps in metres and from the noise, in loops."""
    noise = depth_noise(found.edges, found.inverse, found.known)  # tests/models/test_depth_noise.py
    strength = torch.zeros_like(found.edges)
    for place in torch.cartesian_prod(*(torch.arange(length) for length in strength.shape)).tolist():
        b, _, i, j = place
        metre = float(found.metre[b, 0, i, j])
        lowest = max(floor * metre, noise_factor * float(noise[b, 0, i, j]))
        if metre:
            strength[b, 0, i, j] = min(max((float(found.edges[b, 0, i, j]) - lowest) / (span * metre), 0.0), 1.0)
    return strength


def scene(shift=0, dtype=torch.float64):
    """A box 10 cm high on a table, seen from 0.6 m above, and a CAM with its outline, moved by `shift` cells."""
    depth = torch.full((1, 1, 96, 128), 0.6, dtype=dtype)
    depth[..., 32:64, 40:88] = 0.5
    cam = torch.full((1, 2, 24, 32), -1.0, dtype=dtype)
    cam[:, 0, 8:16, 10 + shift : 22 + shift] = 1.0
    return cam, depth, torch.tensor([[1, 0]])


@pytest.mark.parametrize("noise_factor", [0.0, 0.9])
@pytest.mark.parametrize("edges", sorted(DEPTH_EDGES))
def test_equals_the_loops(edges, noise_factor):
    generator = torch.Generator().manual_seed(0)
    cam = torch.randn(2, 3, 6, 8, generator=generator, dtype=torch.float64)
    depth = 0.3 + torch.rand(2, 1, 48, 64, generator=generator, dtype=torch.float64)
    valid = torch.rand(2, 1, 48, 64, generator=generator) > 0.05
    tags = torch.tensor([[1, 0, 1], [0, 1, 0]])
    loss = DepthEdgeAlignmentLoss(edges=edges, span=1.0, noise_factor=noise_factor)
    found = DEPTH_EDGES[edges](depth, valid, 8)
    strength = reference_strength(found, loss.floor, loss.span, noise_factor)
    expected = reference_loss(cam_edge_strength(cam, (6, 8)), strength, found.known, tags, 2.5)
    assert float(loss(cam, depth, tags, valid)) == pytest.approx(expected, rel=1e-9)


def test_gate_is_zero_at_the_papers_strength():
    assert float(gate(torch.tensor(1 / (1 + math.exp(2.5))), 2.5)) == pytest.approx(0, abs=1e-6)
    assert 1 / (1 + math.exp(2.5)) == pytest.approx(0.076, abs=5e-4)


def test_aligned_cam_scores_lower_than_a_shifted_one():
    loss = DepthEdgeAlignmentLoss(stride=4)
    assert float(loss(*scene(0))) < float(loss(*scene(2))) < float(loss(*scene(6)))


def test_tilted_plane_has_no_curvature_edge():
    # inverse depth of a plane is affine in pixel coordinates
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    depth = (1 / (1.0 + 0.004 * rows + 0.002 * columns))[None, None].double()
    assert not edge_strength(DEPTH_EDGES["curvature"](depth, depth > 0, 4), 0.002, 0.03, 0.0).any()


@pytest.mark.parametrize("distance", [0.3, 1.0, 3.0])
def test_a_step_counts_the_same_at_all_distances(distance):
    depth = torch.full((1, 1, 96, 128), distance, dtype=torch.float64)
    depth[..., 32:64, 40:88] -= 0.004 + 0.015
    strength = edge_strength(DEPTH_EDGES["curvature"](depth, depth > 0, 8), 0.004, 0.03, 2.0)
    assert float(strength.max()) == pytest.approx(0.5, abs=0.08)  # 1/z^2 is the first order


def test_floor_rises_with_the_noise_of_each_image():
    """With one floor for all images a noisy table is full of edges. With its own floor only the box has edges."""
    generator = torch.Generator().manual_seed(0)
    depth = scene()[1].expand(2, -1, -1, -1).clone()
    depth[1] += 0.01 * torch.randn(depth[1].shape, generator=generator, dtype=depth.dtype)
    found = DEPTH_EDGES["curvature"](depth, depth > 0, 4)
    fixed, own = (edge_strength(found, 0.01, 0.03, factor) > 0 for factor in (0.0, 3.0))
    assert torch.equal(own[0], fixed[0])
    table = found.known[1].clone()
    table[:, 6:18, 8:24] = False
    assert fixed[1][table].double().mean() > 0.5
    assert own[1][table].double().mean() < 0.05
    assert own[1, 0, 8, 12:20].all()  # the far edge of the box


def test_floor_of_an_image_without_depth_stays():
    ones, nothing = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    found = DepthEdges(ones, nothing, ones, ones)
    assert torch.equal(edge_strength(found, 0.5, 1.0, noise_factor=2.0), torch.full((1, 1, 2, 2), 0.5))


@pytest.mark.parametrize("edges", sorted(DEPTH_EDGES))
def test_constant_depth_prefers_no_place(edges):
    cam, _, tags = scene(0)
    moved, _, _ = scene(6)
    depth = torch.full((1, 1, 96, 128), 0.7, dtype=torch.float64)
    loss = DepthEdgeAlignmentLoss(edges=edges, stride=4)
    assert float(loss(cam, depth, tags)) == pytest.approx(float(loss(moved, depth, tags)), abs=1e-9)


def test_absent_classes_get_no_gradient():
    cam, depth, tags = scene()
    cam.requires_grad_()
    DepthEdgeAlignmentLoss(stride=4)(cam, depth, tags).backward()
    assert cam.grad[:, 0].any()
    assert not cam.grad[:, 1].any()


def test_no_present_class_gives_zero():
    cam, depth, _ = scene()
    cam.requires_grad_()
    loss = DepthEdgeAlignmentLoss()(cam, depth, torch.zeros(1, 2))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not cam.grad.any()


def test_masked_out_depth_changes_nothing():
    cam, depth, tags = scene()
    valid = torch.ones_like(depth, dtype=torch.bool)
    valid[..., :24, :24] = False
    loss = DepthEdgeAlignmentLoss(stride=4)
    clean = loss(cam, depth, tags, valid)
    depth[..., :24, :24] = torch.rand(24, 24, dtype=depth.dtype)
    assert torch.equal(loss(cam, depth, tags, valid), clean)


def test_where_no_depth_is_valid_there_is_no_gradient():
    cam, depth, tags = scene()
    cam.requires_grad_()
    DepthEdgeAlignmentLoss()(cam, depth, tags, torch.zeros_like(depth, dtype=torch.bool)).backward()
    assert not cam.grad.any()


def test_gradcheck():
    generator = torch.Generator().manual_seed(3)
    cam = torch.rand(1, 2, 5, 6, generator=generator, dtype=torch.float64) + 0.2
    depth = 0.3 + torch.rand(1, 1, 40, 48, generator=generator, dtype=torch.float64)
    tags = torch.tensor([[1, 1]])
    # One maximum gets no gradient and the other has a kink. The check uses the rest, which is smooth.
    strength = edge_strength(DEPTH_EDGES["curvature"](depth, depth > 0, 8), 0.002, 0.03, 0.0)
    target = gate(strength, 2.5)

    def smooth(values):
        edges = sobel_magnitude(F.interpolate(values, size=(5, 6), mode="bilinear", align_corners=False))
        return -(gate(edges / 4, 2.5) * target * tags[:, :, None, None]).mean()

    assert torch.autograd.gradcheck(smooth, cam.requires_grad_())


def test_gradient_of_the_whole_loss_by_differences():
    """Central differences of the loss with the detached maximum held fixed."""
    generator = torch.Generator().manual_seed(4)
    cam = (torch.rand(1, 1, 5, 6, generator=generator, dtype=torch.float64) + 0.2).requires_grad_()
    depth = 0.3 + torch.rand(1, 1, 40, 48, generator=generator, dtype=torch.float64)
    tags = torch.tensor([[1]])
    loss = DepthEdgeAlignmentLoss()
    loss(cam, depth, tags).backward()
    strongest = _edge_maximum(cam.detach())
    found = DEPTH_EDGES["curvature"](depth, depth > 0, 8)
    target = gate(edge_strength(found, loss.floor, loss.span, loss.noise_factor), 2.5) * found.known

    def held(values):
        edges = cam_edge_strength(values, (5, 6)) * _edge_maximum(values) / strongest
        return float(-(gate(edges, 2.5) * target).mean())

    for i, j in ((1, 2), (3, 4), (2, 0)):
        step = torch.zeros_like(cam)
        step[0, 0, i, j] = 1e-6
        slope = (held(cam.detach() + step) - held(cam.detach() - step)) / 2e-6
        assert float(cam.grad[0, 0, i, j]) == pytest.approx(slope, rel=1e-4, abs=1e-7)


def _edge_maximum(cam):
    return sobel_magnitude(F.relu(cam) / F.relu(cam).amax()).amax()


@pytest.mark.parametrize("edges", sorted(DEPTH_EDGES))
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5, 8])
def test_the_rim_of_a_hole_is_no_edge_at_any_stride(edges, stride):
    depth = torch.ones(1, 1, 121, 160)
    for begin in (40, 41, 42, 43):
        valid = torch.ones_like(depth, dtype=torch.bool)
        valid[..., begin : begin + 30, 60:101] = False
        found = DEPTH_EDGES[edges](depth, valid, stride)
        assert found.edges.shape[-2:] == (-(-121 // stride), -(-160 // stride))
        assert edge_strength(found, floor=0.004, span=0.03, noise_factor=0.0)[found.known].max() == 0
        assert found.known.any()


def test_cells_of_even_strides_are_pooled_as_they_were():
    torch.manual_seed(0)
    halves = torch.rand(1, 1, 61, 80)
    for stride in (2, 4, 6, 8, 16):
        size = (-(-121 // stride), -(-160 // stride))
        assert torch.equal(_largest_of_cells(halves, stride, size), F.max_pool2d(halves, stride // 2, ceil_mode=True))


def test_depth_that_is_not_finite_is_not_measured():
    cam, depth, tags = scene()
    depth[..., 5, 5] = torch.inf
    for edges in DEPTH_EDGES:
        loss = DepthEdgeAlignmentLoss(edges=edges)
        assert loss(cam, depth, tags) == loss(cam, depth, tags, depth.isfinite())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_it_computes_in_float32(dtype):
    cam, depth, tags = scene(dtype=torch.float32)
    full = DepthEdgeAlignmentLoss()(cam, depth, tags)
    with torch.autocast("cpu", dtype=dtype):
        half = DepthEdgeAlignmentLoss()(cam.to(dtype), depth, tags)
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(full), abs=1e-3)


def test_wrong_shapes_and_names_are_named():
    cam, depth, tags = scene()
    with pytest.raises(ValueError, match="expected cam"):
        DepthEdgeAlignmentLoss()(cam, depth[:, 0], tags)
    with pytest.raises(ValueError, match="edges must be one of"):
        DepthEdgeAlignmentLoss(edges="canny")
