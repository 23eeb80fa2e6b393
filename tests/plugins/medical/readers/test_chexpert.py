"""The reader of CheXpert, on a small tree in its layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.chexpert import read_chexpert
from vlcore_medical.readers.findings import OBSERVATIONS

HEADER = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{','.join(OBSERVATIONS)}"
EMPTY = "," * (len(OBSERVATIONS) - 2)
PREFIX = "CheXpert-v1.0-small/"


def row(path: str, first: str = "", second: str = "", view: str = "Frontal,AP") -> str:
    """One line; `first` is No Finding, `second` Enlarged Cardiomediastinum."""
    return f"{path},Female,68,{view},{first},{second}{EMPTY}"


TRAIN = [
    row(f"{PREFIX}train/patient00001/study1/view1_frontal.jpg", "1.0", "-1.0"),
    row(f"{PREFIX}train/patient00001/study1/view2_lateral.jpg", "1.0", "0.0", view="Lateral,"),
    row(f"{PREFIX}train/patient00002/study1/view1_frontal.jpg"),
]


def tree(folder: Path, train: list[str] = TRAIN) -> Path:
    """Write a data set whose folder is not called what its paths begin with."""
    for name in (
        "train/patient00001/study1/view1_frontal.jpg",
        "train/patient00001/study1/view2_lateral.jpg",
        "train/patient00002/study1/view1_frontal.jpg",
        "valid/patient64541/study1/view1_frontal.jpg",
        "test/patient64741/study1/view1_frontal.jpg",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"jpeg")
    (folder / "train.csv").write_text("\n".join([HEADER, *train]) + "\n")
    valid = row(f"{PREFIX}valid/patient64541/study1/view1_frontal.jpg", view="Frontal,PA")
    (folder / "valid.csv").write_text(f"{HEADER}\n{valid}\n")
    # The test table has neither prefix nor the columns of the patient.
    (folder / "test.csv").write_text("Path,Edema\ntest/patient64741/study1/view1_frontal.jpg,1.0\n")
    return folder


def test_paths_are_found_whatever_the_folder_is_called(tmp_path: Path) -> None:
    records = read_chexpert(tree(tmp_path))
    assert [(record.split, record.group) for record in records] == [
        ("train", "patient00001"),
        ("train", "patient00001"),
        ("train", "patient00002"),
        ("val", "patient64541"),
        ("test", "patient64741"),
    ]
    assert records[0].id == "train/patient00001/study1/view1_frontal.jpg"
    assert records[0].image.path == tmp_path / "train" / "patient00001" / "study1" / "view1_frontal.jpg"


def test_uncertain_is_neither_present_nor_absent_nor_unmentioned(tmp_path: Path) -> None:
    first, second, third, *_, last = read_chexpert(tree(tmp_path))
    assert first.labels == {"No Finding": 1, "Enlarged Cardiomediastinum": -1}
    assert second.labels == {"No Finding": 1, "Enlarged Cardiomediastinum": 0}
    assert third.labels == {}
    assert last.labels == {"Edema": 1}


def test_views_and_patients(tmp_path: Path) -> None:
    records = read_chexpert(tree(tmp_path))
    assert records[0].meta == {"study": "patient00001/study1", "view": "AP", "sex": "Female", "age": "68"}
    assert [record.meta.get("view") for record in records] == ["AP", "Lateral", "AP", "PA", None]


def test_held_out_images_and_their_patients(tmp_path: Path) -> None:
    path = tree(tmp_path)
    held_out = tmp_path / "chexpert_5x200.csv"
    held_out.write_text("Path,class\nCheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg,Edema\n")
    paper = read_chexpert(path, held_out=held_out)
    assert [record.split for record in paper] == ["test", "train", "train", "val", "test"]
    with pytest.warns(UserWarning, match="1 records of train or val left out, whose group is also held out"):
        strict = read_chexpert(path, held_out=held_out, protocol="strict")
    assert [(record.split, record.group) for record in strict][:2] == [
        ("test", "patient00001"),
        ("train", "patient00002"),
    ]
    held_out.write_text("Path\ntrain/patient00009/study1/view1_frontal.jpg\nsomewhere.jpg\n")
    with pytest.raises(ManifestError) as caught:
        read_chexpert(path, held_out=held_out)
    assert "line 2: the image 'train/patient00009/study1/view1_frontal.jpg' is not in the tables" in str(caught.value)
    assert "line 3: the path 'somewhere.jpg' must end in" in str(caught.value)


def test_one_table(tmp_path: Path) -> None:
    path = tree(tmp_path)
    assert {record.split for record in read_chexpert(path / "valid.csv")} == {"val"}


def test_mistakes_are_named(tmp_path: Path) -> None:
    lines = [
        row("patient1.jpg"),
        row("train/patient00009/study1/view1_frontal.jpg"),
        row("../train/patient00001/study1/view1_frontal.jpg", "yes"),
        row("train/patient00002/study1/view1_frontal.jpg"),
        row("other/train/patient00002/study1/view1_frontal.jpg"),
        "train/patient00002/study1/view1_frontal.jpg,Female",
    ]
    with pytest.raises(ManifestError) as caught:
        read_chexpert(tree(tmp_path, lines))
    for part in (
        "train.csv line 2: the path 'patient1.jpg' must end in split/patient/study/view",
        "train.csv line 3: the image 'train/patient00009/study1/view1_frontal.jpg' is not in",
        "train.csv line 4: 'No Finding' is 'yes'. It must be 1, 0, -1 or empty.",
        "train.csv line 6: the id 'train/patient00002/study1/view1_frontal.jpg' is also on train.csv line 5",
        "train.csv line 7: has 2 cells where the header has 19",
    ):
        assert part in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=r"holds none of train\.csv"):
        read_chexpert(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="protocol='x'"):
        read_chexpert(tmp_path, protocol="x")  # type: ignore[arg-type]
