import torch

from models.similarity_maps import positiveness


def test_counts_are_those_of_all_pairs():
    generator = torch.Generator().manual_seed(0)
    features, inside = torch.randn(30, 4, generator=generator), torch.rand(30, generator=generator) > 0.4
    positive, negative = positiveness(features, inside)
    for p in range(30):
        cosines = [
            float(features[p] @ features[q] / features[p].norm() / features[q].norm()) for q in range(30) if inside[q]
        ]
        expected = (sum(c > 0 for c in cosines), sum(c < 0 for c in cosines)) if inside[p] else (0, 0)
        assert (int(positive[p]), int(negative[p])) == expected


def test_no_object_has_no_counts():
    positive, negative = positiveness(torch.randn(3, 2), torch.zeros(3, dtype=torch.bool))
    assert positive.tolist() == negative.tolist() == [0, 0, 0]
