"""Types that rooms hand to each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from vlcore.data.record import ImageRef, Record
from vlcore.errors import ModelDirectoryError
from vlcore.types import ImagePreprocess, PairBatch

PREPROCESS = ImagePreprocess(size=(224, 256), resize="pad", interpolation="bilinear", mean=(0.4, 0.5, 0.6), fill=114)


def test_preprocessing_survives_json() -> None:
    assert ImagePreprocess.from_dict(json.loads(json.dumps(PREPROCESS.to_dict()))) == PREPROCESS


@pytest.mark.parametrize(
    ("change", "named"), [({"mean": None}, "missing ['mean']"), ({"gamma": 2}, "unknown ['gamma']")]
)
def test_missing_and_unknown_keys_are_errors_and_never_defaults(change: dict[str, object], named: str) -> None:
    values = {**PREPROCESS.to_dict(), **change}
    values = {key: value for key, value in values.items() if value is not None}
    with pytest.raises(ModelDirectoryError) as caught:
        ImagePreprocess.from_dict(values, "model/preprocess.json")
    assert named in str(caught.value)
    assert str(caught.value).startswith("model/preprocess.json: ")


def test_a_batch_moves_whole_and_keeps_what_is_absent() -> None:
    batch = PairBatch(
        image_index=torch.tensor([0, 0, 1]),
        text_key=torch.tensor([5, 6, 7]),
        image_features=torch.ones(3, 4),
    )
    assert len(batch) == 3
    moved = batch.to("meta")
    assert moved.image_index.device.type == moved.image_features.device.type == "meta"  # type: ignore[union-attr]
    assert moved.images is None
    assert moved.input_ids is None
    assert batch.image_index.device.type == "cpu"


def test_image_references_print_as_a_person_would_look_for_them() -> None:
    assert str(ImageRef(Path("a/b.jpg"))) == "a/b.jpg"
    assert str(ImageRef(Path("a.tar"), member="x/1.jpg")) == "a.tar::x/1.jpg"


def test_records_cannot_be_changed() -> None:
    record = Record("a", ImageRef(Path("a.jpg")))
    with pytest.raises(AttributeError):
        record.id = "b"  # type: ignore[misc]
    assert (record.texts, record.group, dict(record.labels)) == ((), None, {})
