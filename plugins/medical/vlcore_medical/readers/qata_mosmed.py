"""Reader of the text-guided segmentation of COVID-19: QaTa-COV19 and MosMedData+ with LViT's descriptions.

Layouts: LViT `{Train,Val,Test}_Folder/{img,labelcol}/` beside or above `{Train,Val,Test}_text.xlsx` with the columns
`Image` and `Description`; Ariadne `{train,test}.csv` with the same columns beside `Images/` and `GTs/`. In both,
`Image` names the mask: `mask_covid_1.png` belongs to `covid_1.png`.

Source: Z. Li et al., LViT: Language meets Vision Transformer in Medical Image Segmentation, arXiv 2206.14718;
Y. Zhong et al., Ariadne's Thread: Using Text Prompts to Improve Segmentation of Infected Areas from Chest X-ray Images,
arXiv 2307.03942.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record, Text
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore_medical.readers.images import find_image
from vlcore_medical.readers.tables import csv_rows, require_folder

_PREFIX = "mask_"
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif")


def read_qata_mosmed(path: Path | str) -> list[Record]:
    """Read images with their masks and descriptions; the source does not tell patients apart, so there is no group.

    Args:
        path: folder of the data set.

    Returns:
        Records with a text of kind `description`, and in `meta` the `mask`: 255 for infected, 0 for the rest. In the
        layout of Ariadne the last fifth of `train.csv` is `val`, in its order, as its authors divide it.

    Raises:
        ConfigurationError: if there is neither layout.
        ManifestError: listing every bad row.
    """
    path = Path(path)
    require_folder(path, "Train_Folder and Train_text.xlsx, or train.csv, Images and GTs")
    if sheets := [file for name in ("Train", "Val", "Test") for file in sorted(path.rglob(f"{name}_text.xlsx"))]:
        rows = [row for file in sheets for row in _lvit(path, file)]
    elif tables := [file for name in ("train", "test") if (file := path / f"{name}.csv").is_file()]:
        rows = [row for file in tables for row in _ariadne(file)]
    else:
        raise ConfigurationError(f"{path} holds neither Train_text.xlsx nor train.csv.")
    return collect_records(path, rows, path, _record)


def _lvit(root: Path, file: Path) -> Iterator[tuple[str, Any]]:
    name = file.name.removesuffix("_text.xlsx")
    # The sheet lies in its folder in one release and beside it in another.
    home = file.parent if file.parent.name == f"{name}_Folder" else file.parent / f"{name}_Folder"
    inside = home.relative_to(root)
    folders = {"images": (inside / "img").as_posix(), "masks": (inside / "labelcol").as_posix()}
    for place, values in _sheet(file):
        yield f"{file.name} {place}", {**values, **folders, "split": name.lower()}


def _ariadne(file: Path) -> Iterator[tuple[str, Any]]:
    rows = list(csv_rows(file, ["Image", "Description"]))
    training = len(rows) * 4 // 5 if file.stem == "train" else len(rows)
    for number, (place, values) in enumerate(rows):
        told = {"images": "Images", "masks": "GTs", "split": file.stem if number < training else "val"}
        yield f"{file.name} {place}", values if isinstance(values, RowError) else {**values, **told}


def _sheet(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of the first sheet that have a value, by the names in its first row."""
    from openpyxl import load_workbook

    try:
        book = load_workbook(file, read_only=True, data_only=True)
        rows = list(book.worksheets[0].iter_rows(values_only=True))
        book.close()
    except Exception as error:  # openpyxl lets out whatever zip, XML and number parsing raise
        raise ManifestError(file, [Problem("the file", f"is no .xlsx that can be read: {error!r}.")]) from None
    header = [str(name).strip() for name in rows[0]] if rows else []
    if missing := [name for name in ("Image", "Description") if name not in header]:
        raise ManifestError(file, [Problem("row 1", f"the columns {missing} are missing; found {header}.")])
    for number, cells in enumerate(rows[1:], start=2):
        if any(cell is not None for cell in cells):
            yield f"row {number}", dict(zip(header, cells, strict=False))


def _record(row: Row) -> Record:
    mask, split = row.get("Image", str).strip(), row.get("split", str)
    words = " ".join(row.get("Description", str).split())
    if not words:
        raise RowError(f"the description of {mask!r} has no words. Write it or remove the row.")
    stem = PurePosixPath(mask).stem
    folder = row.get("images", str)
    stems = dict.fromkeys((stem.removeprefix(_PREFIX), stem))
    place = f"{row.get('masks', str)}/{mask}"
    row.image(place)
    return Record(
        id=f"{split}/{mask}",
        image=find_image(row, [f"{folder}/{one}{suffix}" for one in stems for suffix in _SUFFIXES])[1],
        texts=(Text(words, lang="en", kind="description"),),
        split=split,
        meta={"mask": place},
    )
