"""Readers of RS5M: five million aerial and satellite images with captions, in tars, and its lists of captions.

Layout: `train/{pub11,rs3}-train-0000.tar` and `val/{pub11,rs3}-val-0000.tar`; the members of a sample are
`<key>.img_name`, `<key>.img_content` (the encoded image) and `<key>.caption`. The lists are CSV files whose first
column is the image and whose second one the caption; some are in GB 18030 instead of UTF-8.

Source: Z. Zhang et al., RS5M and GeoRSCLIP, arXiv 2306.11300.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.readers.lines import LARGEST_SIDECAR, decode
from vlcore.data.readers.paths import IMAGE_SUFFIXES, ImageFolder
from vlcore.data.readers.tar_members import TarMember, tar_members
from vlcore.data.record import ImageRef, Record, Text
from vlcore.errors import ConfigurationError, Problem
from vlcore_remote_sensing.readers.csv_table import csv_cells

MEMBERS = ("img_name", "img_content", "caption")


def read_rs5m(path: Path | str) -> list[Record]:
    """Read the tars of a folder, or a single one; nothing is extracted.

    Args:
        path: a tar, or a folder with tars in it or in its folders.

    Returns:
        Records whose image is the member `<key>.img_content`; the id is `<tar>/<key>`, the split the one in the name
        of the tar, and the source's file name the meta `img_name`.

    Raises:
        ConfigurationError: if there is no tar.
        ManifestError: if a tar is damaged, or listing every sample that lacks a member or has a blank caption.
    """
    path = Path(path)
    shards = [path] if path.is_file() else sorted(path.rglob("*.tar"))
    if not shards:
        raise ConfigurationError(f"{path} is no tar and holds none. Give the folder of the data set's tars.")
    return collect_records(path, (row for shard in shards for row in _samples(shard)), path, _sample)


def read_rs5m_captions(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read a CSV file of captions.

    Args:
        path: the file; a first line that names no image file is its header.
        image_root: folder that image paths start from; the file's own if left out.

    Returns:
        Records with one caption each, those of one image together.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad line, or if it is neither in UTF-8 nor in GB 18030.
    """
    path = Path(path)
    root = image_root or path.parent
    images = ImageFolder(root)
    return collect_records(path, _captioned_images(path), root, lambda row: _captioned(row, images))


def _samples(shard: Path) -> Iterator[tuple[str, Any]]:
    """Members of a sample stand together and share their name up to the last dot."""
    split = re.search(r"-(train|val|test)-", shard.name)
    key: str | None = None
    members: dict[str, TarMember] = {}

    def sample() -> tuple[str, Any]:
        return f"{shard.name}, sample {key!r}", {"shard": shard, "key": key, "members": members, "split": split}

    for member in tar_members(shard):
        if isinstance(member, Problem):
            yield f"{shard.name}, {member.place}", RowError(member.message)
            continue
        stem, _, suffix = member.name.rpartition(".")
        if stem != key:
            if members:
                yield sample()
            key, members = stem, {}
        if suffix in members:
            yield f"{shard.name}, member {member.name!r}", RowError("comes twice. Remove one of them.")
        members[suffix] = member
    if members:
        yield sample()


def _sample(row: Row) -> Record:
    shard, members = row.values["shard"], row.values["members"]
    if missing := [name for name in MEMBERS if name not in members]:
        raise RowError(f"has no member {', '.join(missing)}; its members are {', '.join(sorted(members))}.")
    caption = " ".join(_text(shard, members["caption"]).split())
    if not caption:
        raise RowError("the caption is blank. Write one, or remove the sample.")
    split = row.values["split"]
    return Record(
        id=f"{shard.stem}/{row.values['key']}",
        image=ImageRef(shard, member=members["img_content"].name),
        texts=(Text(caption, lang="en"),),
        split=split[1] if split else None,
        meta={"img_name": _text(shard, members["img_name"]).strip()},
    )


def _text(shard: Path, member: TarMember) -> str:
    if member.size > LARGEST_SIDECAR:
        raise RowError(f"the member {member.name!r} has {member.size:,} bytes; a text has at most {LARGEST_SIDECAR:,}.")
    return decode(member.read(shard))


def _captioned_images(path: Path) -> Iterator[tuple[str, Any]]:
    """One row an image, at the place of its first line."""
    rows: dict[str, tuple[str, dict[str, Any]]] = {}
    for number, (place, cells) in enumerate(csv_cells(path, ("utf-8-sig", "gb18030"))):
        if isinstance(cells, RowError):
            yield place, cells
        elif len(cells) < 2:
            yield place, RowError(f"has one cell, {cells[0]!r:.80}. It needs an image and a caption.")
        elif number == 0 and Path(cells[0]).suffix.lower() not in IMAGE_SUFFIXES:
            continue
        elif not cells[1].strip():
            yield place, RowError(f"the caption of {cells[0]!r} is blank. Write one, or remove the row.")
        else:
            rows.setdefault(cells[0], (place, {"image": cells[0], "captions": []}))[1]["captions"].append(cells[1])
    yield from rows.values()


def _captioned(row: Row, images: ImageFolder) -> Record:
    name = row.get("image", str)
    texts = tuple(Text(" ".join(caption.split()), lang="en") for caption in row.get("captions", list))
    return Record(id=name, image=ImageRef(images.locate(name)), texts=texts)
