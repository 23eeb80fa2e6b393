"""Labels and meta of records as typed columns of an index, so that a search can filter by them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from vlcore.errors import ConfigurationError
from vlcore.retrieval.rows import embedding_schema

TYPES = {
    "bool": pa.bool_(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "list<string>": pa.list_(pa.string()),
}
# Columns that every index has or that LanceDB makes; names are compared without case, as its filters do.
RESERVED = {*embedding_schema(1).names, "_distance", "_rowid", "_score", "query_index"}
LARGEST = 2**63
MOST_COLUMNS = 500


@dataclass(frozen=True)
class MetadataColumn:
    """Where one key of the labels or meta goes.

    Attributes:
        name: of the column.
        source: `labels` or `meta`.
        key: in the record.
        type: one of `TYPES`; what fits none of them is kept as JSON text.
    """

    name: str
    source: str
    key: str
    type: str

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return asdict(self)


def infer_columns(rows: Iterable[tuple[str, str]], known: Iterable[MetadataColumn] = ()) -> list[MetadataColumn]:
    """Find the columns of records given as `(labels, meta)` JSON, after those already `known`.

    Labels take a name before meta; a name that is taken gets the source in front: `meta_image`.

    Raises:
        ConfigurationError: if there are more keys than an index should have columns.
    """
    found = {(column.source, column.key): column for column in known}
    types = {pair: column.type for pair, column in found.items()}
    for labels, meta in rows:
        for source, text in (("labels", labels), ("meta", meta)):
            for key, value in _items(text):
                if value is not None:
                    types[source, key] = _joined(types.get((source, key)), _type_of(value))
        if len(types) > MOST_COLUMNS:
            raise ConfigurationError(
                f"The records have more than {MOST_COLUMNS} different label and meta keys, such as "
                f"{', '.join(repr(key) for _, key in list(types)[-3:])}. Put values that belong together under one key."
            )
    taken = RESERVED | {column.name.lower() for column in found.values()}
    for (source, key), kind in sorted(types.items()):  # "labels" sorts before "meta"
        if (source, key) in found:
            found[source, key] = replace(found[source, key], type=kind)
            continue
        name = _free_name(key, source, taken)
        taken.add(name.lower())
        found[source, key] = MetadataColumn(name, source, key, kind)
    return list(found.values())


def flattened(table: pa.Table, columns: Iterable[MetadataColumn]) -> pa.Table:
    """Replace the JSON columns `labels` and `meta` of embedded records by typed ones."""
    parsed = {source: [dict(_items(text)) for text in table[source].to_pylist()] for source in ("labels", "meta")}
    flat = table.drop_columns(["labels", "meta"])
    for column in columns:
        values = [_as(column.type, row.get(column.key)) for row in parsed[column.source]]
        flat = flat.append_column(column.name, pa.array(values, TYPES[column.type]))
    return flat.replace_schema_metadata(None)


def _items(text: str) -> Iterator[tuple[str, Any]]:
    yield from json.loads(text).items()


def _free_name(key: str, source: str, taken: set[str]) -> str:
    plain = re.sub(r"\W", "_", key, flags=re.ASCII) or "_"
    plain = f"_{plain}" if plain[0].isdigit() else plain
    for name in (plain, f"{source}_{plain}"):
        if name.lower() not in taken:
            return name
    number = 2
    while f"{source}_{plain}_{number}".lower() in taken:
        number += 1
    return f"{source}_{plain}_{number}"


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64" if -LARGEST <= value < LARGEST else "string"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "list<string>"
    return "string"


def _joined(first: str | None, second: str) -> str:
    if first is None or first == second:
        return second
    return "float64" if {first, second} == {"int64", "float64"} else "string"


def _as(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return float(value) if kind == "float64" else value
