"""Lines of a UTF-8 file, one at a time, each bad one with its number."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from vlcore.data.reader import RowError

LONGEST_LINE = 64 * 2**20
"""Bytes of the longest line that is read: a file without line breaks must not fill the memory."""
LARGEST_SIDECAR = 16 * 2**20
"""Bytes of the largest text file beside an image."""


def numbered_lines(path: Path) -> Iterator[tuple[int, str | RowError]]:
    """Yield every line with its number from 1, without line end; a byte order mark is dropped.

    A line that is not UTF-8 or holds NUL comes as an error.
    """
    with path.open("rb") as handle:
        number = 0
        while line := handle.readline(LONGEST_LINE + 1):
            number += 1
            if number == 1:
                if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    yield number, RowError("the file is UTF-16. Save it as UTF-8.")
                    return
                line = line.removeprefix(codecs.BOM_UTF8)
            if len(line) > LONGEST_LINE:
                yield number, RowError(f"the line is longer than {LONGEST_LINE // 2**20} MiB. Write one row per line.")
                return
            try:
                yield number, decode(line.rstrip(b"\r\n"))
            except RowError as error:
                yield number, error


def decode(data: bytes) -> str:
    """Decode UTF-8.

    Raises:
        RowError: naming the first bad byte, or the place of a NUL.
    """
    if b"\0" in data:
        raise RowError(f"there is a NUL character at byte {data.index(0) + 1}. Remove it; the file may be damaged.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = data[error.start]
        raise RowError(f"byte {error.start + 1} (0x{bad:02X}) is not UTF-8. Save the file as UTF-8.") from None


def captions_of(data: bytes) -> list[str]:
    """Captions of a sidecar text, one a line; blank lines are skipped.

    Raises:
        RowError: if the text is not UTF-8 or holds no caption.
    """
    text = decode(data.removeprefix(codecs.BOM_UTF8))
    captions = [line.strip() for line in text.splitlines() if line.strip()]
    if not captions:
        raise RowError("the text file holds no caption. Write one a line, or remove the file.")
    return captions
