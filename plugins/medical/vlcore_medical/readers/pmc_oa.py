"""Reader of PMC-OA: figures of open-access articles, many of them cut from compound ones.

Layout: `pmc_oa.jsonl` or `pmc_oa_beta.jsonl`, or `train.jsonl`, `valid.jsonl` and `test.jsonl`, with rows
`{"image": "PMC212319_Fig3_4.jpg", "caption": …}` that may have `pmcid` and `url_name`, beside `images/`.

Source: W. Lin et al., PMC-CLIP: Contrastive Language-Image Pre-training using Biomedical Documents, arXiv 2303.07240.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records, json_lines
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError
from vlcore_medical.readers.captions import caption
from vlcore_medical.readers.protocol import SPLITS, Protocol, check_choice, without_leaks
from vlcore_medical.readers.tables import in_file, require_folder

_FILES = ("train", "valid", "test")


def read_pmc_oa(path: Path | str, image_root: Path | None = None, protocol: Protocol = "paper") -> list[Record]:
    """Read figures with their captions; the article is the group.

    Args:
        path: one of the files, or the folder of `train.jsonl`, `valid.jsonl` and `test.jsonl`.
        image_root: folder that image names start from; `images` beside the files if left out.
        protocol: `paper` keeps the split, which divides figures and not articles; `strict` leaves out, counted, what
            stands in train or val and is of an article that is also held out.

    Returns:
        Records with the caption; parts of one compound figure may share it.

    Raises:
        ConfigurationError: if there is no such file, or for another protocol.
        ManifestError: listing every bad line.
    """
    check_choice("protocol", protocol, ("paper", "strict"))
    path = Path(path)
    folder = image_root or (path if path.suffix != ".jsonl" else path.parent) / "images"
    records = collect_records(path, _rows(path), folder, _record)
    return records if protocol == "paper" else without_leaks(path, records)


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    files = [path]
    if path.suffix != ".jsonl":
        require_folder(path, "train.jsonl, valid.jsonl and test.jsonl")
        files = [file for name in _FILES if (file := path / f"{name}.jsonl").is_file()]
    if not files:
        raise ConfigurationError(f"{path} holds none of {', '.join(f'{name}.jsonl' for name in _FILES)}.")
    for file in files:
        split = SPLITS.get(file.stem, file.stem) if file.stem in _FILES else None
        yield from in_file(file, json_lines(file), split=split)


def _record(row: Row) -> Record:
    name = row.get("image", str)
    article = re.match(r"PMC\d+", row.get("pmcid", str, name))
    if article is None:
        raise RowError(f"neither 'pmcid' nor the image {name!r} names the article. Add 'pmcid', such as 'PMC212319'.")
    return Record(
        id=name,
        image=row.image(name),
        texts=(caption(row, "caption"),),
        group=article[0],
        split=row.get("split", str, None),
    )
