import numpy as np

from data.files.instance_export import NO_TIME, ExportedInstance, bop_results, coco_instances
from data.files.instances import instance_mask


def instance(class_number, top):
    mask = np.zeros((10, 12), bool)
    mask[top : top + 3, 2:9] = True
    return ExportedInstance(class_number, 0.5, [2, top, 7, 3], mask)


def test_a_coco_file_has_each_instance_with_its_score():
    content = coco_instances(
        ["background", "mug", "bowl"], [("a.jpg", (10, 12), [instance(2, 1), instance(2, 6)]), ("b.jpg", (10, 12), [])]
    )
    assert [image["file_name"] for image in content["images"]] == ["a.jpg", "b.jpg"]
    assert content["categories"] == [{"id": 1, "name": "mug"}, {"id": 2, "name": "bowl"}]
    for item, top in zip(content["annotations"], (1, 6), strict=True):
        assert (item["category_id"], item["area"], item["bbox"], item["score"]) == (2, 21, [2, top, 7, 3], 0.5)
        assert np.array_equal(instance_mask(item["segmentation"], (10, 12)), instance(2, top).mask)


def test_instances_without_class_are_of_the_category_object():
    content = coco_instances(["background", "mug"], [("a.jpg", (10, 12), [instance(0, 1)])])
    assert content["categories"] == [{"id": 0, "name": "object"}, {"id": 1, "name": "mug"}]


def test_results_of_the_challenge_have_its_keys_and_one_time_per_image():
    found = bop_results([((3, 12), [instance(1, 1)]), ((3, 13), [instance(2, 6)])], [0, 1, 5], seconds=0.25)
    keys = {"scene_id", "image_id", "category_id", "score", "bbox", "segmentation", "time"}
    assert [set(item) for item in found] == [keys, keys]
    assert [(item["scene_id"], item["image_id"], item["time"]) for item in found] == [(3, 12, 0.25), (3, 13, 0.25)]
    assert [item["category_id"] for item in found] == [1, 5]
    assert bop_results([((3, 12), [instance(1, 1)])], [0, 1])[0]["time"] == NO_TIME == -1
