"""The reader of NIH ChestX-ray14, on small trees of both releases."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.nih_chest_xray import read_nih_chest_xray

START = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
HEADER_2017 = START + "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
HEADER_2020 = START + "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
ROWS_2017 = [
    "00000001_000.png,Cardiomegaly|Emphysema,0,00000001,058Y,M,PA,2682,2749,0.143,0.143,",
    "00000001_001.png,No Finding,1,00000001,058Y,M,AP,2682,2749,0.143,0.143,",
    "00000002_000.png,Hernia,0,00000002,081Y,F,PA,2500,2048,0.171,0.171,",
]
ROWS_2020 = [
    line.replace(",00000001,058Y", ",1,58").replace(",00000002,081Y", ",2,81").rstrip(",") for line in ROWS_2017
]


def tree(folder: Path, header: str = HEADER_2017, rows: list[str] = ROWS_2017, lists: bool = True) -> Path:
    """Write a data set, its images in two folders as the archives unpack."""
    for place, name in (
        ("images_001/images", "00000001_000.png"),
        ("images_001/images", "00000001_001.png"),
        ("images_002/images", "00000002_000.png"),
    ):
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / name).write_bytes(b"png")
    if lists:
        (folder / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
        (folder / "test_list.txt").write_text("00000002_000.png")
    path = folder / "Data_Entry_2017.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize(("header", "rows"), [(HEADER_2017, ROWS_2017), (HEADER_2020, ROWS_2020)])
def test_both_releases_name_the_same_patients(tmp_path: Path, header: str, rows: list[str]) -> None:
    records = read_nih_chest_xray(tree(tmp_path, header, rows))
    assert [(record.id, record.group, record.split) for record in records] == [
        ("00000001_000.png", "00000001", "train"),
        ("00000001_001.png", "00000001", "train"),
        ("00000002_000.png", "00000002", "test"),
    ]
    assert records[0].labels == {"findings": ["Cardiomegaly", "Emphysema"]}
    assert records[1].labels == {"findings": ["No Finding"]}
    assert (records[1].meta["view"], records[1].meta["follow_up"], records[2].meta["sex"]) == ("AP", 1, "F")
    assert records[2].image.path == tmp_path / "images_002" / "images" / "00000002_000.png"


def test_without_the_official_lists_there_is_no_split(tmp_path: Path) -> None:
    assert {record.split for record in read_nih_chest_xray(tree(tmp_path, lists=False))} == {None}


def test_mistakes_are_named(tmp_path: Path) -> None:
    rows = [
        ROWS_2017[0],
        ROWS_2017[1].replace(",00000001,", ",x,"),
        ROWS_2017[2],
        ROWS_2017[0].replace("00000001_000", "00000009_000"),
    ]
    path = tree(tmp_path, rows=rows)
    (tmp_path / "test_list.txt").write_text("00000001_000.png\n00000002_000.png")
    again = tmp_path / "images_003" / "00000002_000.png"
    again.parent.mkdir()
    again.write_bytes(b"png")
    with pytest.raises(ManifestError) as caught:
        read_nih_chest_xray(path)
    for part in (
        "line 2: the image '00000001_000.png' is on 2 of the lists train_val_list.txt, test_list.txt. It",
        "line 3: 'Patient ID' is 'x'. It must be a whole number.",
        "line 4: the image '00000002_000.png' is there twice: images_002/images/00000002_000.png and images_003/",
        "line 5: the image '00000009_000.png' is on 0 of the lists",
    ):
        assert part in str(caught.value)
    for name in ("train_val_list.txt", "test_list.txt"):
        (tmp_path / name).unlink()
    with pytest.raises(ManifestError, match=r"line 5: the image '00000009_000.png' is not in"):
        read_nih_chest_xray(path)
    with pytest.raises(ConfigurationError, match="is no file"):
        read_nih_chest_xray(tmp_path / "nowhere.csv")
