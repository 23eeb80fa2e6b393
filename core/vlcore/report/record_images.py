"""Images of records for a page, by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vlcore.data.decode import decode_image
from vlcore.data.record import Record
from vlcore.report.data import FetchImage


def fetch_images(records: Iterable[Record], examples: Mapping[str, Any]) -> FetchImage:
    """Fetch the images that a result's examples name, right way up.

    Args:
        records: among which they are; read once, and only those that are needed are remembered.
        examples: `EvaluationResult.examples`.
    """
    wanted = set(_identifiers(examples))
    refs = {record.id: record.image for record in records if record.id in wanted}
    return lambda name: decode_image(refs[name], sample_id=name)


def _identifiers(examples: Mapping[str, Any]) -> Iterable[str]:
    for kinds in examples.values():
        for queries in kinds.values():
            for query in queries:
                yield query["image_id"]
                yield from (hit["id"] for hit in query["hits"])
