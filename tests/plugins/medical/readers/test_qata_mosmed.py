"""The reader of QaTa-COV19 and MosMedData+, on small trees in both layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.qata_mosmed import read_qata_mosmed

HEADER = ("Image", "Description")
ROWS = {
    "Train": [("mask_covid_1.png", "Bilateral  infection."), ("covid_2.png", "One area.")],
    "Val": [("mask_covid_3.png", "All left lung.")],
    "Test": [("mask_covid_4.png", "All right lung.")],
}
IMAGES = {"Train": ("covid_1.png", "covid_2.jpg"), "Val": ("covid_3.png",), "Test": ("mask_covid_4.png",)}


def sheet(path: Path, *rows: tuple[Any, ...]) -> None:
    """Write a sheet, with an empty row at its end as office programs leave them."""
    book = Workbook()
    assert book.active is not None
    for row in (*rows, (None, None)):
        book.active.append(row)
    book.save(path)


def tree(folder: Path, inside: bool = True, **changed: list[tuple[Any, ...]]) -> Path:
    """Write the layout of LViT; the sheets lie inside the folders or beside them."""
    for name, rows in ROWS.items():
        home = folder / f"{name}_Folder"
        for place, files in (("img", IMAGES[name]), ("labelcol", [mask for mask, _ in rows])):
            (home / place).mkdir(parents=True)
            for file in files:
                (home / place / file).write_bytes(b"png")
        sheet((home if inside else folder) / f"{name}_text.xlsx", HEADER, *changed.get(name, rows))
    return folder


@pytest.mark.parametrize("inside", [True, False])
def test_the_sheet_names_masks(tmp_path: Path, inside: bool) -> None:
    records = read_qata_mosmed(tree(tmp_path, inside))
    assert [(record.id, record.split, record.image.path.name) for record in records] == [
        ("train/mask_covid_1.png", "train", "covid_1.png"),
        ("train/covid_2.png", "train", "covid_2.jpg"),
        ("val/mask_covid_3.png", "val", "covid_3.png"),
        ("test/mask_covid_4.png", "test", "mask_covid_4.png"),
    ]
    assert [(text.text, text.kind) for text in records[0].texts] == [("Bilateral infection.", "description")]
    assert records[0].meta == {"mask": "Train_Folder/labelcol/mask_covid_1.png"}
    assert all((tmp_path / record.meta["mask"]).is_file() for record in records)


def test_the_last_fifth_of_ariadnes_training_table_is_val(tmp_path: Path) -> None:
    for folder in ("Images", "GTs"):
        (tmp_path / folder).mkdir()
    for number in range(11):
        (tmp_path / "Images" / f"covid_{number}.png").write_bytes(b"png")
        (tmp_path / "GTs" / f"mask_covid_{number}.png").write_bytes(b"png")
    lines = [f'mask_covid_{number}.png,"One, two."' for number in range(11)]
    (tmp_path / "train.csv").write_text("\n".join(["Image,Description", *lines[:10]]))
    (tmp_path / "test.csv").write_text("\n".join(["Image,Description", *lines[10:]]))
    records = read_qata_mosmed(tmp_path)
    assert [record.split for record in records] == 8 * ["train"] + 2 * ["val"] + ["test"]
    assert records[10].image.path.name == "covid_10.png"
    assert records[10].meta == {"mask": "GTs/mask_covid_10.png"}


def test_mistakes_are_named(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = [
        ("mask_covid_1.png", " "),
        ("mask_covid_9.png", "Gone."),
        (None, "No name."),
        (7, "A number."),
        ("../x.png", "Out."),
        ("covid_2.png", "Fine."),
        ("covid_2.png", "Again."),
    ]
    path = tree(tmp_path, Train=rows)
    (tmp_path / "Val_Folder" / "img" / "covid_3.png").unlink()
    with pytest.raises(ManifestError) as caught:
        read_qata_mosmed(path)
    for part in (
        "Train_text.xlsx row 2: the description of 'mask_covid_1.png' has no words.",
        "Train_text.xlsx row 3: the image 'Train_Folder/labelcol/mask_covid_9.png' is not in",
        "Train_text.xlsx row 4: 'Image' is missing. It must be text.",
        "Train_text.xlsx row 5: 'Image' is 7. It must be text.",
        "Train_text.xlsx row 6: The path 'Train_Folder/labelcol/../x.png' leads out of",
        "Train_text.xlsx row 8: the id 'train/covid_2.png' is also on Train_text.xlsx row 7",
        "Val_text.xlsx row 2: the image 'Val_Folder/img/covid_3.png' or 'Val_Folder/img/covid_3.jpg' or",
    ):
        assert part in str(caught.value)


def test_another_sheet_and_another_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds neither Train_text\.xlsx nor train\.csv"):
        read_qata_mosmed(tmp_path)
    sheet(tmp_path / "Train_text.xlsx", ("Image", "Text"), ("a.png", "b"))
    with pytest.raises(ManifestError, match=r"row 1: the columns \['Description'\] are missing"):
        read_qata_mosmed(tmp_path)
    (tmp_path / "Train_text.xlsx").write_bytes(b"no zip")
    with pytest.raises(ManifestError, match=r"the file: is no \.xlsx that can be read: BadZipFile"):
        read_qata_mosmed(tmp_path)
