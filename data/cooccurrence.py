"""Which classes are tags of the same images: from tags alone, a network cannot tell apart what is always together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data.sample import Samples

MOST_NAMED = 5
"""Classes or groups that a line names."""


@dataclass(frozen=True)
class Cooccurrence:
    """Counts of images. A class is a number 1..K.

    Attributes
    ----------
    images : Counter
        Class -> images with this tag.
    alone : Counter
        Class -> images with this tag and no other.
    together : Counter
        (class, class), the smaller number first -> images with both tags.
    """

    images: Counter[int]
    alone: Counter[int]
    together: Counter[tuple[int, int]]

    @classmethod
    def of(cls, samples: Samples) -> Cooccurrence:
        """The counts of some images."""
        return cls.of_tags(samples.tags)

    @classmethod
    def of_tags(cls, tags: Iterable[tuple[int, ...]]) -> Cooccurrence:
        """The counts of some images, from the sorted tags of each.

        Examples
        --------
        >>> found = Cooccurrence.of_tags([(1,), (1, 2), (1, 2)])
        >>> found.images[1], found.alone[1], found.together[1, 2], found.alone[2]
        (3, 1, 2, 0)
        """
        images: Counter[int] = Counter()
        alone: Counter[int] = Counter()
        together: Counter[tuple[int, int]] = Counter()
        for tag_set, count in Counter(tags).items():  # a set of 10^6 images has far fewer sets of tags
            for place, tag in enumerate(tag_set):
                images[tag] += count
                for other in tag_set[place + 1 :]:
                    together[tag, other] += count
            if len(tag_set) == 1:
                alone[tag_set[0]] += count
        return cls(images, alone, together)

    def partners(self, tag: int) -> list[tuple[int, int]]:
        """The classes that are tags of the same images as `tag`, with the number of these images; most first."""
        found = {sum(pair) - tag: count for pair, count in self.together.items() if tag in pair}
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))

    def always_with(self) -> dict[int, list[int]]:
        """Class -> the classes without which it never occurs, for classes that have such."""
        found: dict[int, list[int]] = {}
        for (first, second), count in sorted(self.together.items()):
            for tag, other in ((first, second), (second, first)):
                if count == self.images[tag]:
                    found.setdefault(tag, []).append(other)
        return found


def told_apart(counts: Cooccurrence, class_names: Sequence[str]) -> list[str]:
    """Lines about the classes that image-level tags cannot tell apart; empty if there are none.

    Parameters
    ----------
    counts : Cooccurrence
        Of the training images.
    class_names : sequence of str
        Number 0 first.

    Examples
    --------
    >>> told_apart(Cooccurrence.of_tags([(1, 2), (1, 2), (3,)]), ("background", "cup", "mug", "pan"))[0][:60]
    'cup + mug are tags of the same training images, so their CAM'
    """
    always = counts.always_with()
    groups = {
        tuple(sorted([tag, *(other for other in others if tag in always.get(other, ()))]))
        for tag, others in always.items()
    }
    twins = sorted(group for group in groups if len(group) > 1)
    lines = []
    if twins:
        named = _listed([" + ".join(class_names[tag] for tag in group) for group in twins])
        lines.append(
            f"{named} are tags of the same training images, so their CAMs cannot be told apart; add images with one of "
            "them alone, or photographs of each (docs/datasets.md, crops), or merge them"
        )
    within = [
        f"{class_names[tag]} (with {', '.join(class_names[other] for other in others[:MOST_NAMED])})"
        for tag, others in sorted(always.items())
        if not any(tag in group for group in twins)
    ]
    if within:
        lines.append(
            f"{len(within)} of {len(counts.images)} classes never occur without another: {_listed(within)}; their CAMs "
            "may lie on that one, too"
        )
    return lines


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
