"""A folder of images with sidecar texts: `a.jpg` and `a.txt`, one caption a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vlcore.data.reader import RowError
from vlcore.data.readers.lines import LARGEST_SIDECAR, captions_of
from vlcore.data.readers.paths import IMAGE_SUFFIXES, ImageFolder
from vlcore.data.readers.rows import SourceRow
from vlcore.errors import Problem

_NOT_CAPTIONS = frozenset(("readme", "license", "licence", "notice", "copying"))


class FolderReader:
    """Reads the images of a folder and of the folders in it, in the order of their names.

    Hidden files are skipped, and so are files that are neither images nor texts. A text without its image is an error.

    Args:
        root: the folder.
    """

    format = "folder"
    files: tuple[Path, ...] = ()

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = ImageFolder(root)

    def rows(self) -> Iterator[SourceRow | Problem]:
        """One row an image."""
        yield from self._walk("")

    def _walk(self, inner: str) -> Iterator[SourceRow | Problem]:
        folders, images, texts = self._list(inner)
        with_image = set()
        for name in images:
            stem = name.rpartition(".")[0]
            with_image.add(stem)
            sidecar = texts.get(stem)
            try:
                captions = None if sidecar is None else self._captions(inner + sidecar)
            except RowError as error:
                yield Problem(f"file {inner}{sidecar}", str(error))
                continue
            yield SourceRow(f"file {inner}{name}", {"image": inner + name}, texts=captions)
        for stem, name in sorted(texts.items()):
            if stem not in with_image and stem.casefold() not in _NOT_CAPTIONS:
                message = "is a text without an image of its name. Add the image or remove the text."
                yield Problem(f"file {inner}{name}", message)
        for name, is_link in folders:
            if is_link:
                message = "is a link, which is not followed. Copy the folder or remove the link."
                yield Problem(f"folder {inner}{name}", message)
            else:
                yield from self._walk(f"{inner}{name}/")

    def _list(self, inner: str) -> tuple[list[tuple[str, bool]], list[str], dict[str, str]]:
        """Folders (with whether they are links), images, and texts by stem: the names of one folder at a time."""
        folders, images, texts = [], [], {}
        with os.scandir(self.root / inner) as entries:
            for entry in entries:
                stem, dot, suffix = entry.name.rpartition(".")
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append((entry.name, entry.is_symlink()))
                elif dot and f".{suffix.lower()}" in IMAGE_SUFFIXES:
                    images.append(entry.name)
                elif suffix.lower() == "txt" and dot:
                    texts[stem] = entry.name
        return sorted(folders), sorted(images), texts

    def _captions(self, name: str) -> list[str]:
        path = self._folder.locate(name)
        if path.stat().st_size > LARGEST_SIDECAR:
            raise RowError(f"is larger than {LARGEST_SIDECAR // 2**20} MiB. Is it a text about one image?")
        return captions_of(path.read_bytes())
