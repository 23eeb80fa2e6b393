"""Image paths of a manifest, kept inside their folder."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from pathlib import Path, PurePath

from vlcore.data.reader import RowError

_SUFFIXES = "jpg jpeg jpe jfif png webp gif bmp tif tiff ppm pgm pbm jp2 j2k avif tga"
IMAGE_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
"""File name endings, in lower case, that mark an image in folders and archives."""


class ImageFolder:
    """Finds images by the untrusted names of a manifest; like `vlcore.files.contained`, but fast for many rows.

    Args:
        root: folder that the names start from.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - Path.absolute keeps '..'
        self._real_root = self.root.resolve()
        self._prefix = f"{self.root}{os.sep}".replace(os.sep * 2, os.sep)
        # Images of one folder share the walk over its links; the cache is bounded for manifests with many folders.
        self._is_inside = lru_cache(maxsize=4096)(self._folder_is_inside)

    def locate(self, name: str, *, check: bool = True) -> Path:
        """Path of an image.

        Args:
            name: relative to the folder, or an absolute path inside it.
            check: whether to ask the file system if the file is there.

        Raises:
            RowError: if the name leads out of the folder, or no regular file is there.
        """
        relative = self._relative(name)
        if not self._is_inside(relative.rpartition("/")[0]):
            raise RowError(f"the folder of the image {name!r} is a link out of {self.root}. Copy the files inside.")
        path = Path(f"{self._prefix}{relative}")
        if check:
            self._check_file(path, name)
        return path

    def relative(self, path: Path) -> str:
        """The name of a file inside the folder, the same wherever the folder stands."""
        return str(path).removeprefix(self._prefix).replace(os.sep, "/")

    def _relative(self, name: str) -> str:
        if not name.strip():
            raise RowError("the image path is empty. Name the image file.")
        if "\0" in name:
            raise RowError(f"the image path {name!r} holds a NUL character. Remove it.")
        if name.startswith(("http://", "https://", "s3://", "gs://")):
            raise RowError(f"the image {name!r} is an address, and nothing is downloaded. Name a local file.")
        posix = name.replace("\\", "/")
        if os.path.isabs(posix):  # noqa: PTH117 - a Path would be made for every row
            posix = self._inside(posix, name)
        parts = posix.split("/")
        if ".." in parts:
            raise RowError(f"the image path {name!r} leads out of {self.root}. Use a path inside it, without '..'.")
        return "/".join(part for part in parts if part not in ("", "."))

    def _inside(self, absolute: str, name: str) -> str:
        for root in (self.root, self._real_root):
            if PurePath(absolute).is_relative_to(root):
                return PurePath(absolute).relative_to(root).as_posix()
        raise RowError(
            f"the absolute image path {name!r} is outside {self.root}. Make it relative, or give the folder that "
            f"holds the images: --image-root (data.image_root in a configuration)."
        )

    def _folder_is_inside(self, inner: str) -> bool:
        return (self.root / inner).resolve().is_relative_to(self._real_root)

    def _check_file(self, path: Path, name: str) -> None:
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                if not path.resolve().is_relative_to(self._real_root):
                    raise RowError(f"the image {name!r} is a link that leads out of {self.root}. Copy the file inside.")
                mode = path.stat().st_mode
        except OSError as error:
            detail = "" if isinstance(error, FileNotFoundError) else f" ({error.strerror})"
            raise RowError(
                f"the image {name!r} is not in {self.root}{detail}. Restore the file, remove the row, or give the "
                f"folder that holds the images: --image-root (data.image_root in a configuration)."
            ) from None
        if not stat.S_ISREG(mode):
            raise RowError(f"the image {name!r} in {self.root} is no regular file. Name an image file.")
