from __future__ import annotations

import json

import pytest

from vlcore.errors import ConfigurationError
from vlcore.retrieval.columns import MetadataColumn, infer_columns


def infer(*rows):
    pairs = [(json.dumps(labels), json.dumps(meta)) for labels, meta in rows]
    return {(column.source, column.key): (column.name, column.type) for column in infer_columns(pairs)}


def test_types_fit_all_values():
    found = infer(
        ({"label": "a"}, {"year": 1, "height": 1, "ok": True, "tags": ["x"], "mixed": 1, "box": [1, 2], "none": None}),
        ({}, {"height": 1.5, "mixed": "b", "huge": 2**70, "flag": True}),
        ({}, {"flag": 1}),
    )
    assert {key: kind for (_, key), (_, kind) in found.items()} == {
        "label": "string",
        "year": "int64",
        "height": "float64",
        "ok": "bool",
        "tags": "list<string>",
        "mixed": "string",
        "box": "string",
        "huge": "string",
        "flag": "string",
    }


def test_names_never_clash():
    found = infer(({"Site": 1, "ID": 2}, {"site": 1, "split": 2, "a b": 3, "a-b": 4, "2d": 5, "vector": 6, "é": 7}))
    names = {pair: name for pair, (name, _) in found.items()}
    assert names["labels", "Site"] == "Site" and names["meta", "site"] == "meta_site"
    assert names["labels", "ID"] == "labels_ID" and names["meta", "split"] == "meta_split"
    assert {names["meta", "a b"], names["meta", "a-b"]} == {"a_b", "meta_a_b"}
    assert names["meta", "2d"] == "_2d" and names["meta", "vector"] == "meta_vector"
    assert len({name.lower() for name in names.values()}) == len(names)


def test_known_columns_keep_their_names():
    known = [MetadataColumn("year", "meta", "year", "int64")]
    found = infer_columns([(json.dumps({"year": "old"}), json.dumps({"year": 3}))], known)
    assert found[0] == known[0] and found[1].name == "labels_year"


def test_endless_keys_are_refused():
    with pytest.raises(ConfigurationError, match="more than 500"):
        infer(({}, {f"key {i}": 1 for i in range(501)}))
