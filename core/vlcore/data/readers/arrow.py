"""What Parquet and Arrow tables share: image columns, class names, plain values."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from vlcore.data.readers.rows import SourceRow, missing_columns
from vlcore.data.record import ImageRef
from vlcore.errors import ManifestError, Problem


@dataclass(frozen=True, slots=True)
class ImageColumn:
    """Where a table has its images.

    Attributes:
        name: of the column.
        kind: `path` names files; `bytes` holds encoded images; `struct` has `bytes`, `path` or both, as Hugging Face
            writes them.
        has_path: whether a struct has a path.
        has_bytes: whether the table itself can hold images.
    """

    name: str
    kind: Literal["path", "bytes", "struct"]
    has_path: bool
    has_bytes: bool


def image_column(path: Path, schema: pa.Schema, columns: Mapping[str, str]) -> ImageColumn:
    """Find the image column of a table.

    Raises:
        ManifestError: if there is none, or it holds something else.
    """
    if problem := missing_columns(schema.names, columns):
        raise ManifestError(path, [Problem("the columns", problem)])
    name = columns.get("image", "image")
    kind = schema.field(name).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _is_text(kind):
        return ImageColumn(name, "path", has_path=True, has_bytes=False)
    if _is_binary(kind):
        return ImageColumn(name, "bytes", has_path=False, has_bytes=True)
    if pa.types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        has_bytes = "bytes" in fields and _is_binary(fields["bytes"])
        has_path = "path" in fields and _is_text(fields["path"])
        if has_bytes or has_path:
            return ImageColumn(name, "struct", has_path=has_path, has_bytes=has_bytes)
    message = f"{name!r} is of type {kind}. It must hold paths (string), encoded images (binary), or both (struct)."
    raise ManifestError(path, [Problem("the columns", message)])


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Names behind numbered classes, by column, where Hugging Face `datasets` noted them."""
    try:
        note = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = note.get("info", {}).get("features", {})
        return {name: list(one["names"]) for name, one in features.items() if one.get("_type") == "ClassLabel"}
    except (ValueError, AttributeError, KeyError, TypeError):  # a note of another writer
        return {}


def batch_rows(
    batch: pa.RecordBatch, image: ImageColumn, embedded: pa.Array | None, classes: Mapping[str, list[str]]
) -> list[dict[str, Any]]:
    """Rows of a batch as plain values, without the encoded images.

    Args:
        batch: without image bytes.
        image: the image column.
        embedded: `[rows]` bool, whether the table holds the row's image; None if it never does.
        classes: names of numbered classes.
    """
    rows: list[dict[str, Any]] = []
    for position, row in enumerate(batch.to_pylist()):
        values = {key: plain(value) for key, value in row.items() if value is not None}
        for name, names in classes.items():
            number = values.get(name)
            if isinstance(number, int) and 0 <= number < len(names):
                values[name] = names[number]
            elif number == -1:  # how `datasets` writes "unlabelled"
                del values[name]
        if image.kind == "struct":
            file = (values.pop(image.name, None) or {}).get("path")
            if file is not None:
                values["image_path" if embedded is not None and embedded[position].as_py() else image.name] = file
        rows.append(values)
    return rows


def located(path: Path, image: ImageColumn, row: int, values: dict[str, Any], name: str, here: bool) -> SourceRow:
    """A table row: with its image `here` in the table, or named by a path.

    Args:
        path: of the table.
        image: the image column.
        row: counted from 0.
        values: as `batch_rows` gives them.
        name: default id if the image is in the table.
        here: whether the table holds it.
    """
    place = f"{path.name}, row {row}"
    if here:
        return SourceRow(place, values, image=ImageRef(path, member=f"{image.name}:{row}"), name=name)
    return SourceRow(place, values)


def plain(value: Any) -> Any:
    """A value as JSON could hold it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return value


def present(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """`[rows]` bool: which images of a column (binary, or struct with `bytes`) are there; bytes are not touched."""
    if pa.types.is_struct(array.type):
        array = pc.struct_field(array, "bytes")
    valid = pc.is_valid(array)
    return valid.combine_chunks() if isinstance(valid, pa.ChunkedArray) else valid


def without_bytes(batch: pa.RecordBatch, image: ImageColumn) -> pa.RecordBatch:
    """Drop the encoded images of a batch, without copying anything."""
    if not image.has_bytes:
        return batch
    arrays, names = [], []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if name != image.name:
            arrays.append(array)
            names.append(name)
        elif image.has_path:
            arrays.append(pa.StructArray.from_arrays([pc.struct_field(array, "path")], names=["path"]))
            names.append(name)
    # A batch of no columns would lose its number of rows.
    if not arrays:
        arrays, names = [pa.nulls(batch.num_rows)], [image.name]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def batches(reader: Any) -> Iterator[pa.RecordBatch]:
    """Batches in pieces of at most 1,024 rows, which are made into Python values at once."""
    for batch in reader:
        for start in range(0, batch.num_rows, 1024):
            yield batch.slice(start, 1024)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))
