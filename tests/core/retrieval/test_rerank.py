"""Two-stage search: pairs read alike in any batch, orders blended, scores beside those of the first stage."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import small_fusion
from small_bert import save_tower
from vlcore.cli.main import main
from vlcore.data.decode import DecodeReport
from vlcore.data.manifest import open_manifest
from vlcore.data.record import ImageRef
from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import ModelCard, save_model_directory
from vlcore.metrics.retrieval import retrieval_ranks
from vlcore.metrics.score_ranks import score_ranks
from vlcore.models.fusion.model import FusionModel
from vlcore.objectives.image_text_matching import match_score
from vlcore.retrieval import rerank
from vlcore.retrieval.evaluate import evaluate
from vlcore.retrieval.evaluation_set import embed_set
from vlcore.retrieval.hit import Hit
from vlcore.retrieval.rerank import Reranker, blend
from vlcore.types import PairBatch


@pytest.fixture
def model(tmp_path, monkeypatch):
    small_fusion.register(monkeypatch)
    return small_fusion.small_fusion_model(save_tower(tmp_path / "bert", "bert"))


@pytest.fixture
def images(tiny_manifest):
    return [record.image for record in open_manifest(tiny_manifest)]


TEXTS = ["a red square .", "blue", "everything here is the same words for white", "a dog running in snow"]


def all_pairs(texts, images):
    text, image = np.meshgrid(np.arange(len(texts)), np.arange(len(images)), indexing="ij")
    return text.ravel(), image.ravel()


def test_scores_are_the_models_own_and_do_not_depend_on_batches(model, images, monkeypatch):
    reranker = Reranker(model, "f")
    read = reranker.read_images(images)
    text, image = all_pairs(TEXTS, images)
    found = reranker.scores(TEXTS, read, text, image)
    tokens = model.tokenizer(TEXTS)
    from vlcore.retrieval.images import image_batches

    pixels = torch.cat(list(image_batches(images, reranker.tower.preprocess, 4, False, "raise", None)))
    batch = PairBatch(
        torch.zeros(len(text), dtype=torch.long),
        torch.zeros(len(text), dtype=torch.long),
        images=pixels[image],
        input_ids=tokens.input_ids[text],
        attention_mask=tokens.attention_mask[text],
    )
    with torch.no_grad():
        expected = match_score(model(batch)).numpy()
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)
    monkeypatch.setattr(rerank, "PAIRS_AT_ONCE", 3)
    np.testing.assert_allclose(reranker.scores(TEXTS, read, text, image), found, atol=1e-4)


def test_hits_are_ordered_by_the_blend_and_cut(model, images):
    hits = [Hit(str(number), 0.9 - 0.01 * number, image, [], {}) for number, image in enumerate(images)]
    reranker = Reranker(model, "f")
    match = reranker.scores(["blue"], reranker.read_images(images), np.zeros(12, np.int64), np.arange(12))
    assert [hit.id for hit in reranker.reorder("blue", hits, 5, weight=0.0)] == ["0", "1", "2", "3", "4"]
    only_match = reranker.reorder("blue", hits, 12, weight=1e6)
    assert [int(hit.id) for hit in only_match] == np.argsort(-match, kind="stable").tolist()
    blended = reranker.reorder("blue", hits, 12, weight=0.05)
    expected = blend(np.array([hit.score for hit in hits], np.float32), match, 0.05)
    assert [int(hit.id) for hit in blended] == np.argsort(-expected, kind="stable").tolist()
    assert blended[0].score == pytest.approx(float(expected.max()), abs=1e-6)
    assert reranker.reorder("blue", [], 5) == []


@pytest.mark.parametrize("top", [3, 100])
def test_an_evaluation_has_the_second_stages_scores_beside_the_first(model, tiny_manifest, colour_model, top):
    reranker, manifest = Reranker(model, "fingerprint"), open_manifest(tiny_manifest)
    options = {"split": None, "bootstrap": 5}
    plain = evaluate(colour_model, manifest, **options)
    found = evaluate(colour_model, manifest, **options, reranker=reranker, rerank_top=top, rerank_weight=0.5)
    assert "reranked" not in plain.retrieval["standard"]
    after = found.retrieval["standard"].pop("reranked")
    found.retrieval["duplicate_tolerant"].pop("reranked")
    assert found.retrieval == plain.retrieval
    assert found.protocol["reranked"]["top"] == top and found.protocol["reranked"]["fingerprint"] == "fingerprint"
    assert found.protocol["reranked"]["seconds_per_query"] > 0
    # The same by a whole table: the first items of every query are lifted above all others.
    chosen, image = embed_set(
        colour_model,
        manifest,
        None,
        "label",
        batch_size=8,
        on_bad_image="raise",
        report=DecodeReport(),
        advance=lambda _: None,
    )
    text = colour_model.embed_texts(chosen.captions)
    read = reranker.read_images(chosen.images)
    rows = all_pairs(chosen.captions, chosen.images)
    match = reranker.scores(chosen.captions, read, *rows).reshape(len(text), len(image)).T
    cosine = image @ text.T
    relevance = chosen.relevance()
    ranks = retrieval_ranks(image, text, relevance)
    both = cosine + 0.5 * match
    for side, table, second in (("image_to_text", cosine, both), ("text_to_image", cosine.T, both.T)):
        k = min(top, table.shape[1])
        first = np.argsort(-table, axis=1, kind="stable")[:, :k]
        lifted = table.copy()
        np.put_along_axis(lifted, first, np.take_along_axis(second, first, 1) + 1000, 1)
        whole = lifted if side == "image_to_text" else lifted.T
        expected = getattr(score_ranks(whole.astype(np.float32), relevance), side)
        inside = expected.rank <= k
        rank = np.where(inside, expected.rank, getattr(ranks, side).rank)
        assert after[side]["r1"] == pytest.approx(100 * float((rank <= 1).mean()))
        assert after[side]["mean_rank"] == pytest.approx(float(rank.mean()))


def test_search_and_evaluate_take_a_fusion_model(model, tiny_manifest, tmp_path, colour_model, monkeypatch, capsys):
    save_model_directory(tmp_path / "fusion", model, ModelCard("fusion"))
    monkeypatch.setattr("vlcore.retrieval.model.load", lambda path, device=None: colour_model)
    index, fusion = tmp_path / "photos.index", str(tmp_path / "fusion")
    assert main(["index", "model", str(tiny_manifest), "-o", str(index)]) == 0
    capsys.readouterr()
    search = ["search", str(index), "-m", "model", "--format", "json"]
    assert main([*search, "blue", "-k", "3", "--rerank", fusion, "--rerank-top", "12", "--rerank-weight", "1000"]) == 0
    hits = json.loads(capsys.readouterr().out)
    images = [ImageRef(path) for path in sorted(tiny_manifest.parent.glob("*.png"))]
    reranker = Reranker.load(fusion)
    match = reranker.scores(["blue"], reranker.read_images(images), np.zeros(12, np.int64), np.arange(12))
    assert [hit["id"] for hit in hits] == [images[place].path.name for place in np.argsort(-match)[:3]]
    assert main([*search, "--image", str(images[0].path), "--rerank", fusion]) == 2
    assert "search by words" in capsys.readouterr().err
    scores = tmp_path / "scores.json"
    arguments = ["evaluate", "model", str(tiny_manifest), "-o", str(scores), "--split", "all", "--bootstrap", "5"]
    assert main([*arguments, "--rerank", fusion]) == 0
    assert "reranked" in capsys.readouterr().out
    assert json.loads(scores.read_text())["retrieval"]["standard"]["reranked"]["mean_recall"] > 0


def test_other_models_cannot_rerank(model, tmp_path):
    from vlcore.models.fusion.network import FusionNetwork

    network = FusionNetwork("single_stream", 5, model.network.stream.shape)
    with pytest.raises(ConfigurationError, match="reads precomputed regions"):
        Reranker(FusionModel(None, model.tokenizer, network), "f")
