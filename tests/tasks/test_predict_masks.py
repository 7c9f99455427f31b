from models import crf_constants
from tasks.predict_masks import PredictMasks
from tasks.runtime.luigi_seam import forget_instances


def test_a_vote_needs_depth_of_the_same_split_and_is_another_artifact(in_process, bop_root, tmp_path):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    plain, voted = (PredictMasks(**common, split="evaluation", vote=vote) for vote in ("none", "depth"))
    assert plain.identity != voted.identity
    assert voted.required["depth"].label == "LoadDepth-evaluation"


def test_the_scales_of_one_split_do_not_concern_the_other(in_process, bop_root):
    common = {"dataset": "bop", "data_root": str(bop_root)}
    train, other = (PredictMasks(**common, train_scales=scales, split="train") for scales in ((1.0,), (2.0,)))
    assert train.identity != other.identity
    first, second = (PredictMasks(**common, train_scales=scales, split="evaluation") for scales in ((1.0,), (2.0,)))
    assert first.identity == second.identity


def test_without_pydensecrf_torch_computes_the_crf_unless_told_otherwise(in_process, bop_root, tmp_path, monkeypatch):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    assert PredictMasks(**common).crf_engine == crf_constants.installed_engine()
    monkeypatch.setattr(crf_constants, "find_spec", lambda name: None)
    forget_instances()
    assert PredictMasks(**common).crf_engine == "torch"
    assert PredictMasks(**common, crf_engine="pydensecrf").crf_engine == "pydensecrf"
