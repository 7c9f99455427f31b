"""Data sets that can be downloaded without a login: addresses, checksums, sizes and licences."""

from __future__ import annotations

from typing import NamedTuple

from data.files.transfer import Download

COCO = "http://images.cocodataset.org"
BOP = "https://huggingface.co/datasets/bop-benchmark"
PANNUKE = "https://warwick.ac.uk/fac/cross_fac/tia/data/pannuke"

DOWNLOADS: dict[str, tuple[Download, ...]] = {
    "voc": (
        Download(
            "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            "6cd6e144f989b92b3379bac3b3de84fd",
        ),
        Download(
            "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
            "82b4d87ceb2ed10f6038a1cba92111cb",
        ),
    ),
    "coco": (
        Download(f"{COCO}/zips/train2014.zip", "0da8c0bd3d6becc4dcb32757491aca88", "coco"),
        Download(f"{COCO}/zips/val2014.zip", "a3d79f5ed8d289b7a7554ce06a5782b3", "coco"),
        Download(f"{COCO}/annotations/annotations_trainval2014.zip", "0a379cfc70b0e71301e0f377548639bd", "coco"),
    ),
    "hope": (
        Download(f"{BOP}/hope/resolve/main/hope_base.zip"),
        Download(f"{BOP}/hope/resolve/main/hope_onboarding_static.zip", folder="hope"),
        Download(f"{BOP}/hope/resolve/main/hope_val_realsense.zip", folder="hope"),
    ),
    "lmo": (
        Download(f"{BOP}/lmo/resolve/main/lmo_base.zip"),
        Download(f"{BOP}/lmo/resolve/main/lmo_train_pbr.zip", folder="lmo"),
        Download(f"{BOP}/lmo/resolve/main/lmo_test_all.zip", folder="lmo"),
    ),
    "tless": (
        Download(f"{BOP}/tless/resolve/main/tless_base.zip"),
        Download(f"{BOP}/tless/resolve/main/tless_train_primesense.zip", folder="tless"),
        Download(f"{BOP}/tless/resolve/main/tless_test_primesense_all.zip", folder="tless"),
    ),
    "pannuke": tuple(
        Download(f"{PANNUKE}/fold_{fold}.zip", folder="pannuke", sha256=checksum)
        for fold, checksum in (
            (1, "6e19ad380300e8ce9480f9ab6a14cc91fa4b6a511609b40e3d70bdf9c881ed0b"),
            (2, "5bc540cc509f64b5f5a274d6e5a245527dbd3e6d3155d43555115c5d54709b07"),
            (3, "c14d372981c42f611ebc80afad01702b89cad8c1b3089daa31931cf5a4b1a39d"),
        )
    ),
}
"""Data set -> its files.

The others of `data.readers.DATASETS` need a login or a form, or (ycbv) are published as a split archive.
"""


class Terms(NamedTuple):
    """What to know about a data set before it is downloaded.

    Attributes
    ----------
    size : str
        Size of all archives together; empty: not known here. The server tells it before the download begins.
    licence : str
    """

    size: str
    licence: str


TERMS: dict[str, Terms] = {
    "voc": Terms("3.4 GB", "images under the terms of Flickr, for research"),
    "coco": Terms("20 GB", "annotations CC BY 4.0, images under the terms of Flickr"),
    "hope": Terms("about 3 GB", "CC BY-NC-SA 4.0"),
    "lmo": Terms("", "CC BY-SA 4.0"),
    "tless": Terms("", "CC BY 4.0"),
    "pannuke": Terms("", "CC BY-NC-SA 4.0"),
}
"""Data set of `DOWNLOADS` -> size and licence."""

ELSEWHERE: dict[str, str] = {
    "cityscapes": "https://www.cityscapes-dataset.com (needs an account)",
    "suim": "https://irvlab.cs.umn.edu/resources/suim-dataset",
    "ycbv": f"{BOP}/ycbv (unpack its split archive with 7z)",
}
"""Data set that cannot be fetched -> where it is."""
