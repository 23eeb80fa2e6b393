"""The reader of ROCO and ROCOv2, on small trees in their layouts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.roco import read_roco

FIGURES = {  # split, kind -> id, caption, article; article PMC1 is on both sides
    ("train", "radiology"): [("ROCO_00001", "Axial  MRI", "PMC1"), ("ROCO_00002", "CT", "PMC2")],
    ("train", "non-radiology"): [("ROCO_00003", "A graph", "PMC3")],
    ("validation", "radiology"): [("ROCO_00004", "X-ray", "PMC4")],
    ("test", "radiology"): [("ROCO_00005", "Sagittal MRI", "PMC1")],
}


def tree(folder: Path) -> Path:
    """Write ROCO."""
    for (split, kind), figures in FIGURES.items():
        home = folder / "data" / split / kind
        (home / "images").mkdir(parents=True)
        for name, _, _ in figures:
            (home / "images" / f"{name}.jpg").write_bytes(b"jpeg")
        lines = {
            "captions": [f"{name}\t {caption}" for name, caption, _ in figures],
            "keywords": [f"{name}\taxial\tmri " for name, _, _ in figures],
            "cuis": [f"{name}\tC0024485" for name, _, _ in figures],
            "semtypes": [name for name, _, _ in figures],
            "licences": ["ROCO_ID,PMC_ID,CC", *(f"{name},{article},CC BY" for name, _, article in figures)],
            "dlinks": [
                f"{name}\twget -r ftp://ftp.ncbi.nlm.nih.gov/pub/pmc/oa_package/{article}.tar.gz -P x\tf.jpg"
                for name, _, article in figures
            ],
        }
        for key, value in lines.items():
            (home / f"{key}.txt").write_text("\n".join(value) + "\n", encoding="utf-8")
    return folder


def second(folder: Path, place: str = "{}") -> Path:
    """Write ROCOv2."""
    for split in ("train", "valid", "test"):
        name = f"ROCOv2_2023_{split}_000001"
        (folder / place.format(split)).mkdir(parents=True)
        (folder / place.format(split) / f"{name}.jpg").write_bytes(b"jpeg")
        (folder / f"{split}_captions.csv").write_text(f'ID,Caption\n{name},"CT, axial"\n')
        (folder / f"{split}_concepts.csv").write_text(f"ID,CUIs\n{name},C0040405;C0817096\n")
    return folder


@pytest.mark.parametrize("inside", ["", "data"])
def test_figures_of_radiology(tmp_path: Path, inside: str) -> None:
    records = read_roco(tree(tmp_path) / inside)
    assert [(record.id, record.split, record.group) for record in records] == [
        ("ROCO_00001", "train", "PMC1"),
        ("ROCO_00002", "train", "PMC2"),
        ("ROCO_00004", "val", "PMC4"),
        ("ROCO_00005", "test", "PMC1"),
    ]
    assert records[0].texts[0].text == "Axial MRI"
    assert records[0].labels == {"keywords": ["axial", "mri"], "cuis": ["C0024485"], "semtypes": []}


def test_figures_of_another_kind(tmp_path: Path) -> None:
    assert [record.id for record in read_roco(tree(tmp_path), kind="non-radiology")] == ["ROCO_00003"]


def test_strict_leaves_out_articles_that_are_held_out(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="1 records of train or val left out, whose group is also held out"):
        records = read_roco(tree(tmp_path), protocol="strict")
    assert [record.id for record in records] == ["ROCO_00002", "ROCO_00004", "ROCO_00005"]


def test_articles_come_from_the_addresses_where_there_are_no_licences(tmp_path: Path) -> None:
    path = tree(tmp_path)
    for file in path.rglob("licences.txt"):
        file.unlink()
    assert [record.group for record in read_roco(path)] == ["PMC1", "PMC2", "PMC4", "PMC1"]
    for file in path.rglob("dlinks.txt"):
        file.unlink()
    with pytest.warns(UserWarning, match="4 figures whose article is not known"):
        assert {record.group for record in read_roco(path)} == {None}


def test_bad_lines_beside_the_captions_are_told(tmp_path: Path) -> None:
    home = tree(tmp_path) / "data" / "train" / "radiology"
    (home / "licences.txt").write_text("ROCO_ID,PMC_ID,CC\nROCO_00001,PMC1\nROCO_00002,PMC2,x\nROCO_00002,PMC3,x\n")
    with pytest.raises(ManifestError) as caught:
        read_roco(tmp_path)
    assert "line 2: has 2 cells where the header has 3" in str(caught.value)
    assert "line 4: 'ROCO_ID' is 'ROCO_00002'. It must be there, and with one row only." in str(caught.value)
    (home / "licences.txt").unlink()
    (home / "keywords.txt").write_bytes(b"ROCO_00001\t\xff\n")
    with pytest.raises(ManifestError, match=r"keywords.txt: .*\n  line 1: byte 12 \(0xFF\) is not UTF-8"):
        read_roco(tmp_path)


def test_images_that_vanished_are_counted(tmp_path: Path) -> None:
    path = tree(tmp_path)
    (path / "data" / "train" / "radiology" / "images" / "ROCO_00001.jpg").unlink()
    with pytest.warns(UserWarning, match="1 of 4 figures left out, whose image is not there"):
        assert len(read_roco(path)) == 3
    for folder in path.rglob("images"):
        shutil.rmtree(folder)
    with pytest.raises(ConfigurationError, match=r"none of the 4 images is there. Download them"):
        read_roco(path)


def test_bad_lines_are_listed(tmp_path: Path) -> None:
    path = tree(tmp_path)
    captions = path / "data" / "train" / "radiology" / "captions.txt"
    captions.write_bytes(b"ROCO_00001\t \n../x\tCT\nROCO_00002\t\xff\nROCO_00002\tCT\nROCO_00002\tCT\n")
    with pytest.raises(ManifestError) as caught:
        read_roco(path)
    for part in (
        "train/radiology/captions.txt line 1: 'caption' has no words",
        "train/radiology/captions.txt line 2: is '../x\\tCT'. It must be an id, a tab and the caption.",
        "line 3: byte 12 (0xFF) is not UTF-8",
        "line 5: the id 'ROCO_00002' is also on train/radiology/captions.txt line 4",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("place", ["{}", "{}_images"])
def test_the_second_version(tmp_path: Path, place: str) -> None:
    records = read_roco(second(tmp_path, place))
    assert sorted((record.id, record.split) for record in records) == [
        ("ROCOv2_2023_test_000001", "test"),
        ("ROCOv2_2023_train_000001", "train"),
        ("ROCOv2_2023_valid_000001", "val"),
    ]
    assert {record.texts[0].text for record in records} == {"CT, axial"}
    assert records[0].labels == {"cuis": ["C0040405", "C0817096"]}
    with pytest.raises(ConfigurationError, match="is ROCOv2: it has radiology only, and does not say articles"):
        read_roco(tmp_path, protocol="strict")
    (tmp_path / place.format("train") / "ROCOv2_2023_train_000001.jpg").unlink()
    with pytest.raises(ManifestError, match=r"train_captions.csv line 2: the image 'train/ROCOv2_2023_train_000001"):
        read_roco(tmp_path)


def test_another_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds neither data/train/radiology"):
        read_roco(tmp_path)
    with pytest.raises(ConfigurationError, match="kind='all': choose one of radiology, non-radiology"):
        read_roco(tmp_path, kind="all")  # type: ignore[arg-type]
