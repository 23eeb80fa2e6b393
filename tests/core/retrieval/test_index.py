from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from vlcore.data.manifest import open_manifest
from vlcore.errors import ConfigurationError, FingerprintMismatchError
from vlcore.retrieval import build_index as build_module
from vlcore.retrieval.build_index import build_index
from vlcore.retrieval.embed import embed
from vlcore.retrieval.index import Index


@pytest.fixture
def index(colour_model, tiny_manifest, tmp_path):
    return build_index(colour_model, open_manifest(tiny_manifest), tmp_path / "index")[0]


def test_words_find_the_colour(index, colour_model):
    opened = Index.open(index.path, colour_model)
    hits = opened.search("something yellow", k=3)
    assert [hit.id for hit in hits[:2]] in (["yellow_3.png", "yellow_9.png"], ["yellow_9.png", "yellow_3.png"])
    assert hits[0].score > 0.99 > hits[2].score
    assert hits[0].texts[0] == "a yellow square ." and hits[0].columns["label"] == "yellow"
    assert hits[0].image.path.is_file()
    assert len(opened.search("red", k=100)) == len(opened) == 12


def test_scores_are_those_of_numpy(index, colour_model):
    queries = colour_model.embed_texts(["red", "blue and green"])
    table = index.to_arrow()
    vectors = np.stack(table["vector"].to_numpy(zero_copy_only=False))
    for query, hits in zip(queries, index.search_many(queries, k=12), strict=True):
        expected = dict(zip(table["id"].to_pylist(), vectors @ query, strict=True))
        assert {hit.id: hit.score for hit in hits} == pytest.approx(expected, abs=1e-6)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_filters(index, colour_model):
    opened = Index.open(index.path, colour_model)
    assert {hit.columns["split"] for hit in opened.search("red", 12, "split = 'test'")} == {"test"}
    assert {hit.id for hit in opened.search("red", 12, "label IN ('blue') AND id != 'blue_2.png'")} == {"blue_8.png"}
    assert opened.search("red", 12, "label = 'no such'") == []


@pytest.mark.parametrize("where", ["labell = 'red'", "label = ", "label ~~~ 3", "'", "split = 5 AND"])
def test_bad_filter_names_the_columns(index, where):
    with pytest.raises(ConfigurationError, match=r"cannot be used: .*Columns: id \(string\)"):
        index.search(np.ones(8, np.float32), where=where)


def test_rows_are_removed_by_a_condition(index):
    before = len(index)
    assert index.remove("split = 'test'") == 4
    assert len(index) == before - 4
    assert index.search(np.ones(index.width, dtype=np.float32), where="split = 'test'") == []
    with pytest.raises(ConfigurationError, match=r"The condition 'colour = 1' cannot be used"):
        index.remove("colour = 1")
    assert len(index) == before - 4


def test_bad_queries(index):
    with pytest.raises(ConfigurationError, match="needs the model"):
        Index.open(index.path).search("red")
    with pytest.raises(ConfigurationError, match="k=0"):
        index.search(np.ones(8, np.float32), k=0)
    with pytest.raises(ConfigurationError, match=r"\[Q, 8\]"):
        index.search(np.ones(9, np.float32))
    with pytest.raises(ConfigurationError, match="finite"):
        index.search(np.full(8, np.nan, np.float32))


def test_another_model_is_refused(index, other_model, tiny_manifest):
    with pytest.raises(FingerprintMismatchError) as error:
        Index.open(index.path, other_model)
    assert error.value.field == "model fingerprint" and error.value.current == other_model.fingerprint
    with pytest.raises(FingerprintMismatchError):
        build_index(other_model, open_manifest(tiny_manifest), index.path)


@pytest.mark.parametrize("stop_after", [0, 6, 11])
def test_interrupted_build_never_opens_and_ends_the_same(
    colour_model, tiny_manifest, tmp_path, monkeypatch, stop_after
):
    monkeypatch.setattr(build_module, "SHARD_RECORDS", 5)
    manifest = open_manifest(tiny_manifest)
    whole = build_index(colour_model, manifest, tmp_path / "whole", batch_size=2)[0].to_arrow()
    colour_model.images_seen, colour_model.stop_after = 0, stop_after
    with pytest.raises(KeyboardInterrupt):
        build_index(colour_model, manifest, tmp_path / "cut", batch_size=2)
    with pytest.raises(ConfigurationError, match="unfinished"):
        Index.open(tmp_path / "cut")
    colour_model.images_seen, colour_model.stop_after = 0, None
    index, report = build_index(colour_model, manifest, tmp_path / "cut", batch_size=2)
    assert colour_model.images_seen == 12 - 5 * (stop_after // 5) == report.new
    assert index.to_arrow().equals(whole)


def test_update_embeds_only_what_changed(colour_model, tiny_manifest, index):
    rows = [json.loads(line) for line in tiny_manifest.read_text().splitlines()]
    Image.new("RGB", (40, 40), (30, 180, 60)).save(tiny_manifest.parent / "red_0.png")  # same name, other pixels
    rows[1]["texts"] = ["grass"]
    rows.append({"image": "red_0.png", "id": "it's new", "year": 2024})
    tiny_manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    colour_model.images_seen = 0
    updated, report = build_index(colour_model, open_manifest(tiny_manifest), index.path)
    assert (report.new, report.replaced, report.unchanged) == (1, 2, 10)
    assert colour_model.images_seen == 3 and len(updated) == 13
    assert {hit.id for hit in updated.search("green", 4)} == {"green_1.png", "green_7.png", "red_0.png", "it's new"}
    assert [hit.id for hit in updated.search("green", 4, "year > 2000")] == ["it's new"]
    assert updated.search("green", 1, "id = 'green_1.png'")[0].texts == ["grass"]
    assert len(set(updated.ids())) == 13
    colour_model.images_seen = 0
    assert build_index(colour_model, open_manifest(tiny_manifest), index.path)[1].unchanged == 13
    assert colour_model.images_seen == 0


def test_create_from_shards_equals_direct_build(colour_model, tiny_manifest, tmp_path, index):
    embeddings = embed(colour_model, open_manifest(tiny_manifest), tmp_path / "shards")
    created = Index.create(tmp_path / "created", embeddings)
    assert created.to_arrow().equals(index.to_arrow())
    with pytest.raises(ConfigurationError, match="already holds an index"):
        Index.create(tmp_path / "created", embeddings)
    with pytest.raises(ConfigurationError, match="is not there"):
        Index.open(tmp_path / "nowhere")


def test_large_index_is_approximate_and_exact_on_request(tmp_path):
    from vlcore.data.record import ImageRef, Record
    from vlcore.retrieval.rows import embedded_table

    random = np.random.default_rng(0)
    centres = random.normal(size=(40, 16))
    vectors = centres[random.integers(0, 40, 3000)] + 0.3 * random.normal(size=(3000, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    records = [Record(f"r{i}", ImageRef(tmp_path / f"{i}.png"), meta={"half": i % 2}) for i in range(3000)]
    index = Index.begin(tmp_path / "big", fingerprint="f", width=16, ann_from=1000)
    index.add(embedded_table(records, vectors, [b"0" * 32] * 3000, 16))
    index.finish()
    assert index._approximate
    queries = vectors[:50]
    exact = index.search_many(queries, k=10, exact=True)
    order = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    assert [{hit.id for hit in hits} for hits in exact] == [{f"r{i}" for i in row} for row in order]
    found = index.search_many(queries, k=10)
    recall = np.mean([len({h.id for h in a} & {h.id for h in b}) / 10 for a, b in zip(found, exact, strict=True)])
    assert recall > 0.9
    # A filter that leaves fewer rows than k where the index looks still gives every row that matches.
    assert len(index.search(queries[0], k=5, where="id IN ('r1', 'r2', 'r2999')")) == 3


def test_add_checks_its_rows(index, tmp_path):
    from vlcore.data.record import ImageRef, Record
    from vlcore.retrieval.rows import embedded_table

    one = Record("x", ImageRef(tmp_path / "x.png"), labels={"label": 3})
    with pytest.raises(ConfigurationError, match="4 wide, the index holds 8"):
        index.add(embedded_table([one], np.ones((1, 4), np.float32), [b"c"], 4))
    with pytest.raises(ConfigurationError, match="'x' occurs twice"):
        index.add(embedded_table([one, one], np.ones((2, 8), np.float32), [b"c", b"c"], 8))
    index.add(embedded_table([one], np.ones((1, 8), np.float32), [b"c"], 8))
    assert index.search(np.ones(8, np.float32), 1, "id = 'x'")[0].columns["label"] == "3"  # a text column stays text
