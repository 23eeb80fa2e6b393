from __future__ import annotations

import json
import math

import numpy as np
import pytest

from vlcore.data.manifest import open_manifest
from vlcore.errors import EvaluationError, ImageDecodeError
from vlcore.retrieval.evaluate import evaluate


def test_result_has_the_agreed_names(colour_model, tiny_manifest, tmp_path):
    result = evaluate(colour_model, open_manifest(tiny_manifest), bootstrap=50)
    result.save(tmp_path / "result.json")
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored == json.loads(json.dumps(result.to_dict()))
    for variant in ("standard", "duplicate_tolerant"):
        scores = stored["retrieval"][variant]
        for side in ("image_to_text", "text_to_image"):
            for name in ("r1", "r5", "r10"):
                assert 0 <= scores[side][name] <= 100
                low, high = scores["interval"][side][name]
                assert low <= scores[side][name] <= high
                assert scores["chance"][side][name] <= 100
        assert scores["interval"]["mean_recall"][0] <= scores["mean_recall"]
        assert scores["floor"] == {}
    protocol = stored["protocol"]
    assert (protocol["split"], protocol["images"], protocol["captions"]) == ("test", 4, 8)
    assert protocol["model_fingerprint"] == "f" * 64 and protocol["manifest_fingerprint"]
    assert set(protocol["versions"]) == {"vlcore", "torch", "python"}
    assert protocol["zero_shot"]["prompts"] == "photo" and protocol["tie_rule"].startswith("pessimistic")


def test_duplicates_count_only_in_the_tolerant_variant(colour_model, tiny_manifest):
    # All 12: every colour is there twice, with captions that are equal.
    result = evaluate(colour_model, open_manifest(tiny_manifest), split=None, bootstrap=20)
    standard, tolerant = (result.retrieval[name] for name in ("standard", "duplicate_tolerant"))
    # Two equal captions tie, so the standard score cannot put either first: ties count against the model.
    assert standard["image_to_text"]["r1"] == 0 < tolerant["image_to_text"]["r1"] == 100
    assert tolerant["text_to_image"]["r1"] == 100 > standard["text_to_image"]["r1"]
    assert tolerant["chance"]["text_to_image"]["r1"] == pytest.approx(100 * 2 / 12)
    assert standard["chance"]["text_to_image"]["r1"] == pytest.approx(100 / 12)
    assert result.protocol["distinct_captions"] == 12


def test_zero_shot_scores_and_floors(colour_model, tiny_manifest):
    result = evaluate(colour_model, open_manifest(tiny_manifest), split=None, bootstrap=20)
    scores = result.zero_shot
    assert scores["accuracy"] == scores["balanced_accuracy"] == scores["macro_f1"] == 100
    assert scores["samples"] == 12 and scores["classes"] == 6 and scores["labels"][0] == "blue"
    assert scores["floor"]["chance"]["accuracy"] == pytest.approx(100 / 6)
    assert scores["confusion"] == (2 * np.eye(6, dtype=int)).tolist()
    assert scores["interval"]["accuracy"] == [100, 100] and 0 <= scores["ece"] < 50


def test_examples_mark_right_and_wrong(colour_model, tiny_manifest):
    rows = [json.loads(line) for line in tiny_manifest.read_text().splitlines()]
    rows[0]["texts"] = ["nothing but blue"]  # a wrong caption: the model must fail on it
    tiny_manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    both = evaluate(colour_model, open_manifest(tiny_manifest), split=None, bootstrap=20).examples
    examples = both["text_to_image"]
    worst = examples["worst"][0]
    assert worst["caption"] == "nothing but blue" and worst["image_id"] == "red_0.png"
    assert worst["rank"] > 2 and not worst["hits"][0]["correct"]
    assert len(worst["hits"]) == 5 and {"id", "image", "score", "correct"} <= set(worst["hits"][0])
    # A caption "red" now has one right image and an unannotated twin of it, which may stand first.
    right = [query for query in examples["spread"] if query["rank"] <= 2 and "red" not in query["caption"]]
    assert right and all(query["hits"][0]["correct"] for query in right)
    assert len({query["image_id"] for query in examples["spread"]}) == len(examples["spread"])
    # The other way round the same image fails: none of the captions it finds is its own.
    failed = both["image_to_text"]["worst"][0]
    assert failed["image_id"] == "red_0.png" and failed["captions"] == ["nothing but blue"]
    # Captions of its twin, which has the same colour but other bytes, are not right either.
    assert failed["rank"] > 2 and not failed["hits"][0]["correct"] and "red" in failed["hits"][0]["caption"]
    found = both["image_to_text"]["spread"][0]
    assert found["rank"] == 1 and found["hits"][0]["correct"] and len(found["hits"]) == 5
    assert found["hits"][0]["caption"] in found["captions"] or found["hits"][0]["id"] != found["image_id"]


def test_floors_of_the_same_set_are_shown_and_others_refused(colour_model, tiny_manifest):
    manifest = open_manifest(tiny_manifest)
    first = evaluate(colour_model, manifest, bootstrap=10)
    second = evaluate(colour_model, manifest, bootstrap=10, floors={"closed_form": first.retrieval})
    floor = second.retrieval["standard"]["floor"]["closed_form"]
    assert floor["mean_recall"] == first.mean_recall and floor["image_to_text"]["queries"] == 4
    with pytest.raises(EvaluationError, match="'closed_form' was measured on 4 queries"):
        evaluate(colour_model, manifest, split=None, bootstrap=10, floors={"closed_form": first.retrieval})


def test_nothing_is_skipped_silently(colour_model, tiny_manifest):
    (tiny_manifest.parent / "blue_8.png").write_bytes(b"\x89PNG broken")
    manifest = open_manifest(tiny_manifest)
    with pytest.raises(ImageDecodeError, match=r"blue_8\.png"):
        evaluate(colour_model, manifest, bootstrap=10)
    result = evaluate(colour_model, manifest, bootstrap=10, on_bad_image="skip")
    assert result.protocol["skipped_images"] == 1 and result.protocol["bad_images"][0]["id"] == "blue_8.png"
    assert (result.protocol["images"], result.protocol["captions"]) == (3, 6)


def test_missing_split_names_those_that_exist(colour_model, tiny_manifest):
    with pytest.raises(EvaluationError, match=r"split 'val'.*'test', 'train'"):
        evaluate(colour_model, open_manifest(tiny_manifest), split="val")


def test_without_captions_or_labels(colour_model, tiny_manifest):
    rows = [json.loads(line) for line in tiny_manifest.read_text().splitlines()]
    for row in rows:
        row["texts"] = []
    tiny_manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = evaluate(colour_model, open_manifest(tiny_manifest), bootstrap=10)
    assert result.retrieval is None and result.zero_shot["accuracy"] == 100
    for row in rows:
        del row["label"]
    tiny_manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(EvaluationError, match="neither texts"):
        evaluate(colour_model, open_manifest(tiny_manifest), bootstrap=10)


def test_nan_is_an_error_and_never_json(colour_model, tiny_manifest, tmp_path):
    good = evaluate(colour_model, open_manifest(tiny_manifest), bootstrap=10)
    good.protocol["wrong"] = math.nan
    with pytest.raises(ValueError, match="JSON"):
        good.save(tmp_path / "result.json")
    assert list(tmp_path.glob("*.json")) == []
    colour_model.embed_texts = lambda texts, **_: np.full((len(texts), 8), np.nan, np.float32)
    with pytest.raises(EvaluationError, match="NaN"):
        evaluate(colour_model, open_manifest(tiny_manifest), bootstrap=10)


def test_groups_are_the_unit_of_the_bootstrap(colour_model, tiny_manifest):
    rows = [json.loads(line) for line in tiny_manifest.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["group"] = f"patient {number // 3}"
    tiny_manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = evaluate(colour_model, open_manifest(tiny_manifest), split=None, bootstrap=10)
    assert result.protocol["bootstrap"]["unit"] == "group"
