from tasks.predict_masks import PredictMasks


def test_a_vote_needs_depth_of_the_same_split_and_is_another_artifact(in_process, bop_root, tmp_path):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    plain, voted = (PredictMasks(**common, split="evaluation", vote=vote) for vote in ("none", "depth"))
    assert "vote" not in plain.parameters()
    assert plain.identity != voted.identity
    assert [task.label for task in voted.stages_above()][-1] == "LoadDepth-evaluation"
