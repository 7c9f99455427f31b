import pytest
import torch

from models.label_values import UNLABELLED
from models.seeds import BACKGROUND, faint_superpixels, grow_seeds, initial_seed, threshold_seed


def reference_initial(cam, classes, superpixels, alpha, gamma):
    """Eqs. 3.4 and 3.5 in loops, and the threshold gamma."""
    height, width = superpixels.shape
    means = {}
    for number in sorted(set(superpixels.flatten().tolist())):
        values = [float(cam[:, i, j].max()) for i in range(height) for j in range(width) if superpixels[i, j] == number]
        means[number] = sum(values) / len(values)
    background = {min(means, key=means.get)} | {number for number, mean in means.items() if mean < gamma}
    seed = torch.full((height, width), UNLABELLED, dtype=torch.int32)
    for i in range(height):
        for j in range(width):
            values = [float(value) for value in cam[:, i, j]]
            if max(values) > alpha:
                seed[i, j] = int(classes[values.index(max(values))])
            elif int(superpixels[i, j]) in background:
                seed[i, j] = 0
    return seed


def reference_grow(probabilities, seeds, superpixels, tags, beta_bg, beta_fg):
    """Eqs. 3.6 and 3.7 in loops."""
    grown = seeds.clone()
    for b in range(len(seeds)):
        for number in set(superpixels[b].flatten().tolist()) - {-1}:
            pixels = ((superpixels[b] == number) & (seeds[b] == UNLABELLED)).nonzero().tolist()
            if not pixels:
                continue
            allowed = [0, *(k + 1 for k in range(tags.shape[1]) if tags[b, k])]
            means = {c: sum(float(probabilities[b, c, i, j]) for i, j in pixels) / len(pixels) for c in allowed}
            best = max(means, key=means.get)
            if means[best] > (beta_bg if best == 0 else beta_fg):
                for i, j in pixels:
                    grown[b, i, j] = best
    return grown


@pytest.mark.parametrize("gamma", [0.0, 0.65])
@pytest.mark.parametrize("seed", range(4))
def test_initial_seed_equals_the_loops(seed, gamma):
    generator = torch.Generator().manual_seed(seed)
    cam = torch.rand(2, 6, 7, generator=generator)
    superpixels = torch.randint(5, (6, 7), generator=generator)
    classes = torch.tensor([2, 7])
    expected = reference_initial(cam, classes, superpixels, 0.8, gamma)
    assert torch.equal(initial_seed(cam, classes, superpixels, 0.8, gamma), expected)


def test_known_background_wins_over_the_cam_and_superpixels_are_not_used():
    cam = torch.tensor([[[0.9, 0.9, 0.0, 0.0]]])
    known = torch.tensor([[True, False, True, False]])  # the first against its CAM
    seed = initial_seed(cam, torch.tensor([3]), torch.zeros(1, 4, dtype=torch.int64), 0.5, 0.02, known)
    assert seed.tolist() == [[BACKGROUND, 3, BACKGROUND, UNLABELLED]]


def test_classes_above_a_byte_keep_their_numbers():
    classes = torch.tensor([44, 255, 256, 300, 1203])
    cam = torch.eye(5)[:, None]  # each class has a pixel of its own
    superpixels = torch.zeros(1, 5, dtype=torch.int64)
    assert initial_seed(cam, classes, superpixels, 0.5)[0].tolist() == classes.tolist()
    probabilities = torch.full((1, 1204, 1, 4), 1e-4)
    for place, number in enumerate((255, 300, 256, 44)):
        probabilities[0, number, 0, place] = 0.9
    tags = torch.zeros(1, 1203)
    tags[0, [254, 299]] = 1  # classes 255 and 300; the network is as certain of 256 and 44
    seeds, alone = torch.full((1, 1, 4), UNLABELLED), torch.arange(4).view(1, 1, 4)
    grown = grow_seeds(probabilities, seeds, alone, tags, 0.5, 0.5)
    assert grown.flatten().tolist() == [255, 300, UNLABELLED, UNLABELLED]


def test_image_without_a_class_is_background():
    seed = initial_seed(
        torch.zeros(0, 3, 3), torch.zeros(0, dtype=torch.int64), torch.zeros(3, 3, dtype=torch.int64), 0.5
    )
    assert (seed == BACKGROUND).all()


def test_foreground_wins_inside_the_background_superpixel():
    cam = torch.zeros(1, 4, 4)
    cam[0, 0, 0] = 1.0  # a 1-pixel object
    seed = initial_seed(cam, torch.tensor([3]), torch.zeros(4, 4, dtype=torch.int64), 0.5)
    assert seed[0, 0] == 3
    assert (seed.flatten()[1:] == BACKGROUND).all()


@pytest.mark.parametrize("seed", range(4))
def test_growing_equals_the_loops(seed):
    generator = torch.Generator().manual_seed(seed)
    probabilities = (3 * torch.randn(2, 4, 6, 6, generator=generator)).softmax(1)
    seeds = torch.tensor([0, 2, UNLABELLED, UNLABELLED, UNLABELLED])[torch.randint(5, (2, 6, 6), generator=generator)]
    superpixels = torch.randint(-1, 9, (2, 6, 6), generator=generator)
    tags = torch.tensor([[0, 1, 0], [1, 1, 1]])
    arguments = (probabilities, seeds, superpixels, tags, 0.5, 0.4)
    grown = grow_seeds(*arguments)
    assert torch.equal(grown, reference_grow(*arguments))
    assert not torch.equal(grown, seeds)


def test_growing_keeps_the_seed_and_the_absent_classes_out():
    probabilities = torch.zeros(1, 3, 2, 2)
    probabilities[:, 2] = 1.0  # the network is certain of class 2, which is not in the tags
    seeds = torch.tensor([[[1, UNLABELLED], [UNLABELLED, UNLABELLED]]])
    grown = grow_seeds(probabilities, seeds, torch.zeros(1, 2, 2, dtype=torch.int64), torch.tensor([[1, 0]]), 0.7, 0.7)
    assert torch.equal(grown, seeds)


def test_all_unlabelled_padding_stays_unlabelled():
    seeds = torch.full((1, 3, 3), UNLABELLED)
    grown = grow_seeds(torch.ones(1, 2, 3, 3), seeds, torch.full((1, 3, 3), -1), torch.ones(1, 1), 0.1, 0.1)
    assert torch.equal(grown, seeds)


@pytest.mark.parametrize("faint", [0.0, 0.3, 0.6])
def test_the_plain_baseline_equals_eqs_1_12_and_1_13_in_loops(faint):
    generator = torch.Generator().manual_seed(0)
    cam, classes = torch.rand(3, 9, 8, generator=generator) ** 3, torch.tensor([2, 5, 9])
    expected = torch.full((9, 8), UNLABELLED, dtype=torch.int32)
    for i in range(9):
        for j in range(8):
            for c in range(3):
                if cam[c, i, j] > 0.6 and c == int(cam[:, i, j].argmax()):  # (1.12)
                    expected[i, j] = classes[c]
            if float(cam[:, i, j].max()) < faint:  # (1.13)
                expected[i, j] = BACKGROUND
    found = threshold_seed(cam, classes, 0.6, faint)
    assert torch.equal(found, expected)
    assert (set(found.flatten().tolist()) >= {2, 5, 9, UNLABELLED}) == (faint < 0.6)


def test_the_plain_baseline_of_an_image_without_a_class_is_background():
    assert threshold_seed(torch.zeros(0, 2, 3), torch.tensor([]), 0.5, 0.1).tolist() == [[BACKGROUND] * 3] * 2


@pytest.mark.parametrize("others", [0, 1])
def test_where_a_class_has_no_cam_nothing_is_background(others):
    """Its object may stand at any faint place: a seed of background there could never be corrected."""
    cam = torch.zeros(1 + others, 4, 4)
    cam[:others, 0, 0] = 1.0
    classes, superpixels = torch.tensor([3, 5])[: 1 + others], torch.arange(16).view(4, 4)
    for seed in (initial_seed(cam, classes, superpixels, 0.4, gamma=0.02), threshold_seed(cam, classes, 0.4, 0.2)):
        assert (seed == 3).sum() == others
        assert (seed == UNLABELLED).sum() == 16 - others
    plane = torch.zeros(4, 4, dtype=torch.bool)
    plane[3] = True  # what is known without CAMs stays known
    assert (initial_seed(cam, classes, superpixels, 0.4, 0.02, plane) == 0).sum() == 4


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int16, torch.int32])
def test_superpixels_of_any_integer_type(dtype):
    torch.manual_seed(0)
    strongest, superpixels = torch.rand(6, 7), torch.randint(0, 5, (6, 7))
    expected = faint_superpixels(strongest, superpixels, 0.4)
    assert torch.equal(faint_superpixels(strongest, superpixels.to(dtype), 0.4), expected)
