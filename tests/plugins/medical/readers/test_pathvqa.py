"""The reader of PathVQA, on small trees in both layouts."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vlcore.data.source import read_bytes
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.pathvqa import read_pathvqa


def png(shade: int) -> bytes:
    """A small grey image."""
    out = io.BytesIO()
    Image.new("L", (4, 4), shade).save(out, "PNG")
    return out.getvalue()


def tree(folder: Path) -> Path:
    """Write the layout of the hub; the first two questions are about one image."""
    for name, shades in (("train-00000-of-00001", (10, 10, 20)), ("validation-00000-of-00001", (30,))):
        images = [{"bytes": png(shade), "path": None} for shade in shades]
        columns = {"image": images, "question": ["what is  this?"] * len(shades), "answer": ["Yes"] * len(shades)}
        (folder / "data").mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), folder / "data" / f"{name}.parquet")
    return folder


def original(folder: Path, *rows: dict[str, Any]) -> Path:
    """Write the original layout, with JSON for the pickles."""
    (folder / "qas").mkdir()
    (folder / "images" / "train").mkdir(parents=True)
    (folder / "images" / "train" / "train_0000.jpg").write_bytes(b"jpeg")
    (folder / "qas" / "train_vqa.json").write_text(json.dumps(rows))
    return folder


QUESTION = {"img_id": "train_0000", "question_id": 7, "sent": "what is this?", "label": {"no": 0.3, "yes": 1}}


def test_the_images_of_the_table_are_its_groups(tmp_path: Path) -> None:
    records = read_pathvqa(tree(tmp_path))
    assert [record.split for record in records] == ["train", "train", "train", "val"]
    assert records[0].group == records[1].group != records[2].group
    assert records[0].texts[0].text == "what is this?" and records[0].texts[0].kind == "question"
    assert records[2].id == "train-00000-of-00001/2" and records[2].labels == {"answer": "Yes"}
    assert [read_bytes(record.image) for record in records] == [png(shade) for shade in (10, 10, 20, 30)]


def test_the_original_layout_as_json(tmp_path: Path) -> None:
    (record,) = read_pathvqa(original(tmp_path, QUESTION))
    assert (record.id, record.split, record.group) == ("train/7", "train", "train_0000")
    assert record.labels == {"answer": "yes"}
    assert record.image.path == tmp_path / "images" / "train" / "train_0000.jpg"


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    (tmp_path / "qas").mkdir()
    (tmp_path / "qas" / "train_vqa.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ConfigurationError, match=r"holds pickles.* never loaded.* json\.dump"):
        read_pathvqa(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_mistakes_are_named(tmp_path: Path) -> None:
    rows = [{**QUESTION, "label": {}}, {**QUESTION, "label": {"a": "b"}}, {**QUESTION, "img_id": "gone"}]
    with pytest.raises(ManifestError) as caught:
        read_pathvqa(original(tmp_path, *rows))
    for part in (
        "train_vqa.json question 1: 'label' is {}. It must be a table of answers with their scores.",
        "question 2: 'label' is {'a': 'b'}.",
        "question 3: the image 'train/gone.jpg' is not in",
    ):
        assert part in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="holds neither Parquet files nor"):
        read_pathvqa(tmp_path / "empty")


def test_a_damaged_table_and_an_image_without_bytes_are_told(tmp_path: Path) -> None:
    columns = {"image": [{"bytes": None, "path": "a.jpg"}], "question": ["what?"], "answer": ["this"]}
    path = tmp_path / "train-0.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(ManifestError, match=r"train-0.parquet row 0: 'image' holds no bytes"):
        read_pathvqa(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ManifestError, match="is no readable table of image, question and answer"):
        read_pathvqa(tmp_path)
    pq.write_table(pa.table({"image": ["a"]}), path)
    with pytest.raises(ManifestError, match="row 0: 'image' holds no bytes"):
        read_pathvqa(tmp_path)
