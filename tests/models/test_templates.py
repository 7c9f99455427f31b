import itertools

import numpy as np
import pytest

from models.templates import NEAREST, k_medoids, learned_threshold, lifts, match_templates, similarities, similarity


def unit(values):
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def around(direction, count, spread, seed):
    rng = np.random.default_rng(seed)
    return unit(np.asarray(direction) + spread * rng.standard_normal((count, 1, len(direction))))


def views(count, seed, most=5):
    """Views with 1 to `most` cells, the others are zeros."""
    rng = np.random.default_rng(seed)
    found = unit(rng.standard_normal((count, most, 3)))
    for view in found:
        view[rng.permutation(most)[: rng.integers(most)]] = 0
    return found


def test_each_cell_takes_the_most_similar_cell_of_the_other_view():
    keys, templates = views(4, 0), views(6, 1)
    found = similarity(keys, templates)
    for row, key in enumerate(keys):
        for place, template in enumerate(templates):
            best = [max(cell @ other for other in template if other.any()) for cell in key if cell.any()]
            assert found[row, place] == pytest.approx(np.mean(best))
    assert np.diag(similarity(keys, keys)) == pytest.approx(np.ones(4))


def test_a_template_with_cells_is_not_compared_with_itself():
    keys = views(5, 0).astype(np.float32)
    found, all_of_them = similarities(keys, {1: keys}, own=1), similarity(keys, keys)
    for row in range(5):
        others = sorted(np.delete(all_of_them[row], row), reverse=True)
        assert found[row, 0] == pytest.approx(np.mean(others[:NEAREST]))


def test_two_groups_have_the_best_two_medoids():
    keys = np.concatenate([around([1, 0, 0], 7, 0.1, 0), around([0, 1, 0], 5, 0.1, 1)])
    distances = 1 - keys[:, 0] @ keys[:, 0].T
    best = min(itertools.combinations(range(12), 2), key=lambda pair: distances[:, pair].min(1).sum())
    assert k_medoids(keys, 2).tolist() == list(best)


def test_as_many_medoids_as_keys_or_zero_are_all():
    keys = around([1, 0], 4, 0.5, 0)
    for count in (0, 4, 9):
        assert k_medoids(keys, count).tolist() == [0, 1, 2, 3]
    assert len(k_medoids(np.ones((5, 1, 2)) / 2**0.5, 3)) == 3  # copies


def test_similarities_are_means_over_the_nearest():
    keys, templates = around([1, 1, 1], 3, 0.5, 0), {4: around([1, 0, 0], 6, 0.3, 1), 9: around([0, 1, 0], 2, 0.3, 2)}
    found = similarities(keys, templates)
    for row, key in enumerate(keys):
        for place, values in enumerate(templates.values()):
            products = sorted((float(key[0] @ value[0]) for value in values), reverse=True)
            assert found[row, place] == pytest.approx(np.mean(products[:NEAREST]))


def test_a_template_is_not_compared_with_itself():
    keys = around([1, 0, 0], 5, 0.3, 1)
    found = similarities(keys, {1: keys}, own=1)
    for row in range(5):
        others = sorted((float(keys[row, 0] @ keys[other, 0]) for other in range(5) if other != row), reverse=True)
        assert found[row, 0] == pytest.approx(np.mean(others[:NEAREST]))
    assert similarities(keys[:1], {1: keys[:1]}, own=1).tolist() == [[-1.0]]


def test_objects_get_the_class_of_their_templates_and_others_are_unknown():
    templates = {n + 1: around(np.eye(4)[n], 8, 0.1, n) for n in range(3)}
    threshold = learned_threshold(templates)
    keys = np.concatenate([around(np.eye(4)[n], 2, 0.05, 10 + n) for n in (2, 0, 3)])
    classes, scores = match_templates(keys, templates, threshold)
    assert classes.tolist() == [3, 3, 1, 1, 0, 0]
    assert (scores[:4] > 0.9).all()
    assert match_templates(keys, templates, 0.0)[0].all()


def test_tags_leave_only_their_classes():
    templates = {1: around([1, 0], 3, 0.1, 0), 2: around([0, 1], 3, 0.1, 1)}
    key = np.array([[[1.0, 0.0]]])
    assert match_templates(key, templates, -1.0)[0].tolist() == [1]
    assert match_templates(key, templates, -1.0, allowed=[2])[0].tolist() == [2]
    assert match_templates(key, templates, 0.1, allowed=[2])[0].tolist() == [0]
    assert match_templates(key, templates, -1.0, allowed=[])[0].tolist() == [0]


def test_one_class_and_nothing_at_all():
    assert lifts(np.array([[0.7]])).tolist() == [[0.7]]
    assert learned_threshold({1: np.eye(2)[:1, None]}) == 0.0
    assert match_templates(np.zeros((0, 1, 2)), {1: np.eye(2)[:, None]}, 0.1)[0].shape == (0,)
    assert match_templates(np.eye(2)[:, None], {}, 0.1)[0].tolist() == [0, 0]


def test_the_threshold_is_passed_by_nearly_all_templates():
    templates = {n + 1: around(np.eye(3)[n], 30, 0.3, n) for n in range(3)}
    threshold = learned_threshold(templates)
    passed = [
        (lifts(similarities(keys, templates, own=number))[:, place] >= threshold).mean()
        for place, (number, keys) in enumerate(templates.items())
    ]
    assert np.mean(passed) >= 0.98
    assert threshold > 0


def plain_threshold(templates):
    """The same in the words of the docstring, view by view."""
    found = []
    for number, keys in templates.items():
        for row, key in enumerate(keys if len(keys) > 1 else []):
            near = {}
            for other, values in templates.items():
                values = np.delete(values, row, 0) if other == number else values
                near[other] = np.mean(sorted((key[0] @ value[0] for value in values), reverse=True)[:NEAREST])
            found.append(near[number] - np.mean([value for other, value in near.items() if other != number]))
    return max(np.quantile(found, 0.01), 0)


@pytest.mark.parametrize("counts", [(8, 8, 8), (8, 8, 1), (8, 1, 1), (8, 1), (2, 3, 2), (1, 2, 8)])
def test_a_template_is_left_out_of_its_own_class_alone(counts):
    templates = {n + 1: around(np.eye(4)[n] + 0.5, count, 0.2, n) for n, count in enumerate(counts)}
    assert learned_threshold(templates) == pytest.approx(plain_threshold(templates))


@pytest.mark.parametrize("count", [2, 13])
def test_a_class_with_one_template_leaves_the_others_known(count):
    """One template was once no template for the lifts of the others, so nothing was similar enough to be known."""
    templates = {n + 1: around(np.eye(count)[n] + 0.4, 40, 0.02, n) for n in range(count)}
    few = {**templates, count: templates[count][:1]}
    assert learned_threshold(few) == pytest.approx(learned_threshold(templates), rel=0.1)
    objects = around(np.eye(count)[0] + 0.4, 20, 0.02, 99)
    assert match_templates(objects, few, 0.75 * learned_threshold(few))[0].tolist() == [1] * 20


def test_the_same_view_in_two_classes_counts_in_both():
    templates = {1: around([1, 0], 4, 0.2, 0), 2: around([0, 1], 4, 0.2, 1)}
    templates[2][0] = templates[1][0]
    assert learned_threshold(templates) == pytest.approx(plain_threshold(templates))


def test_a_view_without_a_cell_is_similar_to_none():
    views = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    for order in ([0, 1], [1, 0]):
        found = similarity(views[order], views[order])
        assert found[order][:, order].tolist() == [[1.0, -1.0], [-1.0, -1.0]]
    assert similarity(views, views[1:]).tolist() == [[-1.0], [-1.0]]


def test_an_object_without_a_cell_is_unknown():
    templates = {1: np.array([[[1.0, 0.0]]]), 2: np.array([[[0.0, 1.0]]])}
    classes, scores = match_templates(np.array([[[0.0, 0.0]], [[1.0, 0.0]]]), templates, threshold=0.0)
    assert classes.tolist() == [0, 1]
    assert scores.tolist() == [0.0, 1.0]
