"""Soft assignment, upsampling and pooling against loops over pixels and cells."""

import math

import pytest
import torch

from models.segmentation.superpixel_pooling import assign, gather, reconstruct, upsample


def cells_around(y, x, factor, height, width):
    """(place in Q, cell row, cell column) of the cells around a pixel that exist."""
    for place in range(9):
        row, column = y // factor + place // 3 - 1, x // factor + place % 3 - 1
        if 0 <= row < height and 0 <= column < width:
            yield place, row, column


def reference_assign(fine, coarse, temperature):
    batch, _, rows, columns = fine.shape
    height, width = coarse.shape[2:]
    shares = torch.zeros(batch, 9, rows, columns).double()
    for image in range(batch):
        for y in range(rows):
            for x in range(columns):
                pixel = fine[image, :, y, x]
                found = {}
                for place, row, column in cells_around(y, x, rows // height, height, width):
                    cell = coarse[image, :, row, column]
                    found[place] = math.exp(float(pixel @ cell / pixel.norm() / cell.norm()) / temperature)
                for place, value in found.items():
                    shares[image, place, y, x] = value / sum(found.values())
    return shares


def dense(shares, height, width):
    """Q as a whole matrix (pixels, cells) of one image."""
    rows, columns = shares.shape[1:]
    matrix = torch.zeros(rows * columns, height * width).double()
    for y in range(rows):
        for x in range(columns):
            for place, row, column in cells_around(y, x, rows // height, height, width):
                matrix[y * columns + x, row * width + column] = shares[place, y, x]
    return matrix


@pytest.fixture
def shares():
    torch.manual_seed(0)
    return assign(torch.randn(2, 3, 6, 8).double(), torch.randn(2, 3, 3, 4).double(), 0.5)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_assign_equals_the_loops(factor):
    torch.manual_seed(0)
    fine, coarse = torch.randn(2, 5, 3 * factor, 4 * factor).double(), torch.randn(2, 5, 3, 4).double()
    assert torch.allclose(assign(fine, coarse, 0.1), reference_assign(fine, coarse, 0.1))


def test_shares_sum_to_one_and_none_lies_beyond_the_edge(shares):
    assert torch.allclose(shares.sum(1), torch.ones(2, 6, 8).double())
    assert not shares[:, :3, :2].any()
    assert not shares[:, ::3, :, :2].any()


def test_upsample_and_gather_equal_the_matrix_and_its_transpose(shares):
    cells, pixels = torch.randn(2, 5, 3, 4).double(), torch.randn(2, 5, 6, 8).double()
    for image in range(2):
        matrix = dense(shares[image], 3, 4)
        up = (matrix @ cells[image].flatten(1).T).T.view(5, 6, 8)
        down = (matrix.T @ pixels[image].flatten(1).T).T.view(5, 3, 4)
        assert torch.allclose(upsample(cells, shares)[image], up)
        assert torch.allclose(gather(pixels, shares, (3, 4))[image], down)


def test_reconstruction_over_two_steps_equals_the_product_of_both():
    torch.manual_seed(0)
    first = assign(torch.randn(1, 3, 8, 8).double(), torch.randn(1, 3, 4, 4).double(), 0.5)
    second = assign(torch.randn(1, 3, 4, 4).double(), torch.randn(1, 3, 2, 2).double(), 0.5)
    values = torch.randn(1, 2, 8, 8).double()
    whole = dense(first[0], 4, 4) @ dense(second[0], 2, 2)
    flat = values[0].flatten(1).T
    centroids = (whole.T @ flat) / whole.sum(0)[:, None]
    expected = (whole @ centroids).T.view(2, 8, 8)
    assert torch.allclose(reconstruct(values, [first, second])[0], expected)


def test_gradients():
    torch.manual_seed(0)
    fine, coarse, cells = (torch.randn(1, 2, *size).double().requires_grad_() for size in ((4, 4), (2, 2), (2, 2)))
    assert torch.autograd.gradcheck(lambda f, c, v: upsample(v, assign(f, c, 0.3)), (fine, coarse, cells))


def test_one_cell_takes_everything():
    assert torch.equal(assign(torch.randn(1, 2, 2, 2), torch.randn(1, 2, 1, 1), 0.1)[:, 4], torch.ones(1, 2, 2))


def test_a_grid_that_is_not_a_multiple_is_refused():
    with pytest.raises(ValueError, match="must be a multiple of the cells"):
        assign(torch.randn(1, 2, 5, 4), torch.randn(1, 2, 2, 2), 0.1)
