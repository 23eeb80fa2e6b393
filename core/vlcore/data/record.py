"""The one form in which a sample travels after its reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """A text about an image.

    Attributes:
        text: the words, never empty.
        lang: BCP-47 tag; `und` where the source does not say.
        kind: what it is: caption, findings, impression, narration, …
    """

    text: str
    lang: str = "und"
    kind: str = "caption"


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Where an image is, not yet read.

    Attributes:
        path: a file: an image, or an archive or table that holds it.
        member: name inside the archive or table: a tar member, `column:row` of a Parquet or Arrow file, `key:number`
            of a folder of litdata's.
        window: column, row, width and height in pixels of a raster, for plugins that read windows.
        frames: first and last frame of a video, for plugins that read videos.
    """

    path: Path
    member: str | None = None
    window: tuple[int, int, int, int] | None = None
    frames: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self.path}::{self.member}" if self.member else str(self.path)


@dataclass(frozen=True, slots=True)
class Record:
    """One image with what is known of it.

    Attributes:
        id: unique within its manifest; never used as a path.
        image: where the pixels are.
        texts: what is said about it; empty for images that are only searched.
        group: what a split must keep together: patient, scene, video, book.
        split: `train`, `val`, `test` or another name; None where the source does not say.
        labels: class names or numbers, such as `{"label": "airport"}`.
        meta: anything else of the source, carried to the index as columns.
    """

    id: str
    image: ImageRef
    texts: tuple[Text, ...] = ()
    group: str | None = None
    split: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
