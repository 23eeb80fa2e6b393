"""Reader of MedMNIST: small standardised images of 12 data sets, with labels.

Layout: `pathmnist.npz`, or with `_64`, `_128` or `_224`, with `train_images`, `train_labels` and likewise for val and
test: uint8 `[N, S, S]` or `[N, S, S, 3]`, labels `[N, L]`.

Source: J. Yang et al., MedMNIST v2, arXiv 2110.14795.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from vlcore.data.reader import require_file
from vlcore.data.record import ImageRef, Record
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore.files import atomic_write, sha256_file

_SPLITS = ("train", "val", "test")
_ROW_GROUP = 500
_DIGEST = b"vlcore_npz_sha256"


def read_medmnist(path: Path | str) -> list[Record]:
    """Read images.

    Images inside an `.npz` cannot be read one by one, so on the first call they are written, losslessly, into the
    table `<name>.parquet` beside it; it is written again if the `.npz` changes. Pickles inside are refused.

    Args:
        path: the `.npz` file.

    Returns:
        Records with the label `label`, a number, where an image has one; with several (chestmnist) `labels`, the
        numbers of those that are set.

    Raises:
        ConfigurationError: if the file does not exist, or the table cannot be written.
        ManifestError: if an array is missing, of another type or shape, or holds volumes: they are no images.
    """
    path = Path(path)
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            shapes = _checked_shapes(path, archive)
            labels = {split: list(_rows(archive, f"{split}_labels")) for split in _SPLITS}
            table = path.with_suffix(".parquet")
            _write_table(path, table, archive)
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        message = f"is no .npz of MedMNIST: {error}. Download it again."
        raise ManifestError(path, [Problem("the file", message)]) from None
    rows = ((split, number) for split in _SPLITS for number in range(shapes[f"{split}_images"][0]))
    return [
        Record(
            id=f"{split}/{number}",
            image=ImageRef(table, member=f"image:{row}"),
            split=split,
            labels=_labels(labels[split][number]),
        )
        for row, (split, number) in enumerate(rows)
    ]


def _open(archive: zipfile.ZipFile, name: str) -> tuple[IO[bytes], tuple[int, ...], np.dtype[Any]]:
    """An array of the archive: its bytes from the first row on, its shape and its type."""
    stream = archive.open(f"{name}.npy")
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(stream)
    if columns_first or dtype.hasobject or not shape:
        raise ValueError(f"{name} is {dtype} {list(shape)}, which cannot be read row by row without a pickle")
    return stream, shape, dtype


def _rows(archive: zipfile.ZipFile, name: str) -> Iterator[NDArray[Any]]:
    """Rows of an array one by one: the large sets do not fit into memory."""
    stream, shape, dtype = _open(archive, name)
    with stream:
        size = math.prod(shape[1:]) * dtype.itemsize
        for _ in range(shape[0]):
            yield np.frombuffer(stream.read(size), dtype).reshape(shape[1:])


def _checked_shapes(path: Path, archive: zipfile.ZipFile) -> dict[str, tuple[int, ...]]:
    shapes, problems = dict[str, tuple[int, ...]](), []
    for split in _SPLITS:
        for part, problem_of in (("images", _image_problem), ("labels", _label_problem)):
            stream, shape, dtype = _open(archive, name := f"{split}_{part}")
            stream.close()
            shapes[name] = shape
            if problem := problem_of(shape, dtype):
                problems.append(Problem(name, problem))
        images, labels = shapes[f"{split}_images"][0], shapes[f"{split}_labels"][0]
        if images != labels:
            problems.append(Problem(f"{split}_labels", f"holds {labels} rows for {images} images. Download it again."))
    if problems:
        raise ManifestError(path, problems)
    return shapes


def _label_problem(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    good = len(shape) == 2 and shape[1] > 0 and np.issubdtype(dtype, np.integer)
    return "" if good else f"is {dtype} {list(shape)}. Labels must be whole numbers [N, L]."


def _image_problem(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    if len(shape) == 4 and shape[-1] != 3:
        return f"is {list(shape)}: volumes. Only the sets of images can be read."
    good = dtype == np.uint8 and len(shape) in (3, 4)
    return "" if good else f"is {dtype} {list(shape)}. Images must be uint8 [N, S, S] or [N, S, S, 3]."


def _labels(values: NDArray[Any]) -> dict[str, Any]:
    if len(values) == 1:
        return {"label": int(values[0])}
    return {"labels": np.flatnonzero(values).tolist()}


def _write_table(source: Path, table: Path, archive: zipfile.ZipFile) -> None:
    digest = sha256_file(source).encode()
    if _digest_of(table) == digest:
        return
    schema = pa.schema([("image", pa.binary())], metadata={_DIGEST: digest})
    images = (_png(pixels) for split in _SPLITS for pixels in _rows(archive, f"{split}_images"))
    try:
        with atomic_write(table) as temporary, pq.ParquetWriter(temporary, schema, compression="none") as out:
            while batch := list(islice(images, _ROW_GROUP)):
                out.write_batch(pa.record_batch([pa.array(batch, pa.binary())], schema=schema))
    except OSError as error:
        message = f"{table} cannot be written: {error}. Copy the .npz to a folder with room that you may write to."
        raise ConfigurationError(message) from None


def _digest_of(table: Path) -> bytes | None:
    """Of which archive a table was written; None if there is no whole table."""
    try:
        digest: bytes | None = (pq.read_schema(table).metadata or {}).get(_DIGEST)
    except (OSError, pa.ArrowException):
        return None
    return digest


def _png(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()
