"""Reader of ROCO and ROCOv2: figures of open-access articles with their captions and concepts.

Layouts: ROCO `data/<split>/<kind>/` with `captions.txt` (`ROCO_00001<tab> Axial MRI …`), `keywords.txt`, `cuis.txt`,
`semtypes.txt`, `licences.txt` (ROCO_ID, PMC_ID, CC), `dlinks.txt` and `images/ROCO_00001.jpg`; kind is `radiology` or
`non-radiology`; ROCOv2 `<split>_captions.csv` (ID, Caption), `<split>_concepts.csv` (ID, CUIs) and the images in
`<split>/` or `<split>_images/`.

Source: O. Pelka et al., Radiology Objects in COntext (ROCO), LABELS 2018; J. Rückert et al., ROCOv2, arXiv 2405.10004.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.readers.lines import numbered_lines
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore_medical.readers.captions import caption
from vlcore_medical.readers.images import find_image
from vlcore_medical.readers.protocol import SPLITS, Protocol, check_choice, tell_counts, without_leaks
from vlcore_medical.readers.tables import csv_by_key, csv_rows, in_file, require_folder

Kind = Literal["radiology", "non-radiology"]
_LISTS = ("keywords", "cuis", "semtypes")


def read_roco(path: Path | str, kind: Kind = "radiology", protocol: Protocol = "paper") -> list[Record]:
    """Read figures with their captions; in ROCO the article is the group.

    Figures were divided at random, so `paper` has figures of one article on both sides of the split; `strict` leaves
    those of training and validation out, counted. Images of ROCO are downloaded one by one and vanish with time:
    figures whose image is not there are left out, counted.

    Args:
        path: folder that holds `data/` (or is it), or the CSV files of ROCOv2.
        kind: which figures of ROCO; ROCOv2 has radiology only.
        protocol: `paper` or `strict`; `paper` only for ROCOv2, which does not say the article.

    Returns:
        Records with the caption and the labels `cuis` (concepts of UMLS) and, in ROCO, `keywords` and `semtypes`.

    Raises:
        ConfigurationError: if there is neither layout, none of the images, or for another option.
        ManifestError: listing every bad figure.
    """
    check_choice("kind", kind, ("radiology", "non-radiology"))
    check_choice("protocol", protocol, ("paper", "strict"))
    path = Path(path)
    require_folder(path, "data/train/radiology/captions.txt, or train_captions.csv")
    if tables := sorted(path.glob("*_captions.csv")):
        if protocol == "strict" or kind != "radiology":
            raise ConfigurationError(f"{path} is ROCOv2: it has radiology only, and does not say articles: no strict.")
        return collect_records(path, (row for table in tables for row in _second_rows(table)), path, _second)
    root = path / "data" if (path / "data").is_dir() else path
    folders = [root / split / kind for split in ("train", "validation", "test")]
    if not (found := [folder for folder in folders if (folder / "captions.txt").is_file()]):
        raise ConfigurationError(f"{path} holds neither data/train/{kind}/captions.txt nor train_captions.csv.")
    rows = [row for folder in found for row in _first_rows(root, folder)]
    here = [(place, one) for place, one in rows if isinstance(one, RowError) or (root / one["image"]).is_file()]
    if rows and not here:
        raise ConfigurationError(f"{root}: none of the {len(rows)} images is there. Download them, by dlinks.txt.")
    records = collect_records(path, here, root, _first)
    counts = {
        f"of {len(rows)} figures left out, whose image is not there": len(rows) - len(here),
        "figures whose article is not known": sum(record.group is None for record in records),
    }
    tell_counts(path, counts)
    return records if protocol == "paper" else without_leaks(path, records)


def _first_rows(root: Path, folder: Path) -> Iterator[tuple[str, Any]]:
    home = folder.relative_to(root).as_posix()
    articles, lists = _articles(folder), {name: dict(_tabbed(folder / f"{name}.txt")) for name in _LISTS}
    split = SPLITS.get(folder.parent.name, folder.parent.name)
    for number, line in numbered_lines(folder / "captions.txt"):
        place = f"{home}/captions.txt line {number}"
        if isinstance(line, RowError):
            yield place, line
        elif line.strip():
            name, _, words = line.partition("\t")
            if re.fullmatch(r"\w+", name) is None:
                yield place, RowError(f"is {line!r:.80}. It must be an id, a tab and the caption.")
                continue
            values = {key: known.get(name, []) for key, known in lists.items()}
            told = {"id": name, "caption": words, "article": articles.get(name), "split": split}
            yield place, {**values, **told, "image": f"{home}/images/{name}.jpg"}


def _tabbed(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Lists by the id before the first tab; none if there is no such file."""
    if path.is_file():
        for number, line in numbered_lines(path):
            if isinstance(line, RowError):
                raise ManifestError(path, [Problem(f"line {number}", str(line))])
            name, *values = [cell.strip() for cell in line.split("\t")]
            yield name, [value for value in values if value]


def _articles(folder: Path) -> Mapping[str, str]:
    """Article of each figure, by the licences or else the addresses that it was downloaded from."""
    if (folder / "licences.txt").is_file():
        rows = csv_by_key(folder / "licences.txt", "ROCO_ID", ["PMC_ID"])
        return {name: one["PMC_ID"] for name, one in rows.items() if "PMC_ID" in one}
    links = ((name, re.search(r"PMC\d+", " ".join(cells))) for name, cells in _tabbed(folder / "dlinks.txt"))
    return {name: match[0] for name, match in links if match}


def _first(row: Row) -> Record:
    return Record(
        id=row.get("id", str),
        image=row.image(row.get("image", str)),
        texts=(caption(row, "caption"),),
        group=row.get("article", str, None),
        split=row.get("split", str),
        labels={name: row.get(name, list) for name in _LISTS},
    )


def _second_rows(path: Path) -> Iterator[tuple[str, Any]]:
    name = path.name.removesuffix("_captions.csv")
    table = path.with_name(f"{name}_concepts.csv")
    rows = csv_by_key(table, "ID", ["CUIs"]) if table.is_file() else {}
    concepts = {key: one.get("CUIs", "") for key, one in rows.items()}
    for place, values in in_file(path, csv_rows(path, ["ID", "Caption"]), folder=name, split=SPLITS.get(name, name)):
        yield place, values if isinstance(values, RowError) else {**values, "CUIs": concepts.get(values.get("ID"), "")}


def _second(row: Row) -> Record:
    name, folder = row.get("ID", str), row.get("folder", str)
    return Record(
        id=name,
        image=find_image(row, [f"{folder}/{name}.jpg", f"{folder}_images/{name}.jpg"])[1],
        texts=(caption(row, "Caption"),),
        split=row.get("split", str),
        labels={"cuis": [cui.strip() for cui in row.get("CUIs", str).split(";") if cui.strip()]},
    )
