"""Nested plain values, such as a protocol or an audit, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = tuple[str, str]

_CHECKS = {
    "same_group": "same group (patient, scene, video, …)",
    "same_image": "same image, byte for byte",
    "near_duplicate": "nearly the same image",
    "same_text": "same caption; no leak by itself",
    "undecodable": "images that could not be read",
}
_NO_LEAK = ("same_text", "undecodable")
_EXAMPLES = 5
_LONG = 20
"""Entries of a list that are shown."""


@dataclass(frozen=True)
class AuditRow:
    """One thing that different splits may have in common.

    Attributes:
        name: what was looked for.
        count: records that share it with a record of another split.
        compared: records that were looked at; None where the audit does not say.
        leak: whether finding any makes scores too good.
        examples: a few, in words.
    """

    name: str
    count: int
    compared: int | None
    leak: bool
    examples: tuple[str, ...]


def fact_rows(values: Mapping[str, Any], skip: Iterable[str] = (), prefix: str = "") -> list[Row]:
    """Flatten a mapping: nested names are joined, empty values left out."""
    rows: list[Row] = []
    for key, value in values.items():
        if key in skip:
            continue
        name = f"{prefix}{_words(key)}"
        if isinstance(value, Mapping):
            if value and all(not isinstance(item, Mapping | list | tuple) for item in value.values()):
                rows.append((name, ", ".join(f"{label}\u00a0{_plain(item)}" for label, item in value.items())))
            else:
                rows.extend(fact_rows(value, prefix=f"{name}: "))
        elif value is not None and value not in ("", [], ()):
            rows.append((name, _plain(value)))
    return rows


def protocol_rows(protocol: Mapping[str, Any]) -> list[Row]:
    """How it was measured; what has its own place on the page is left out."""
    return fact_rows(protocol, skip=("bad_images", "command"))


def scored_rows(protocol: Mapping[str, Any]) -> list[Row]:
    """What of the scored data was cut, left out or replaced, zeros included."""
    names = ("truncated_captions", "skipped_images", "replaced_images", "images_without_captions")
    return fact_rows({name: protocol.get(name) for name in names}, prefix="scored split: ")


def model_rows(card: Mapping[str, Any]) -> list[Row]:
    """Towers with sources and licences, training and versions of a model card."""
    rows: list[Row] = []
    for side, tower in (card.get("towers") or {}).items():
        rows.extend(fact_rows(tower, prefix=f"{side} tower: "))
    rows.extend(fact_rows(card.get("training") or {}, skip=("tried",)))
    rows.extend(fact_rows({"versions": card.get("versions") or {}}))
    return rows


def audit_rows(audit: Mapping[str, Any]) -> tuple[list[AuditRow], list[Row]]:
    """Checks with a count, and whatever else the audit says."""
    checks, rest = [], {}
    for key, value in audit.items():
        if isinstance(value, Mapping) and isinstance(value.get("count"), int):
            examples = tuple(_example(item) for item in (value.get("examples") or [])[:_EXAMPLES])
            name, compared = _CHECKS.get(key, _words(key)), value.get("compared")
            checks.append(AuditRow(name, value["count"], compared, key not in _NO_LEAK, examples))
        else:
            rest[key] = value
    return checks, fact_rows(rest)


def _example(item: Any) -> str:
    """`a.jpg (train) and b.jpg (test): the caption`."""
    if not isinstance(item, Mapping) or not {"first", "second"} <= set(item):
        return _plain(item)
    first, second = (f"{item[side]} ({item.get(f'{side}_split', '?')})" for side in ("first", "second"))
    named = {"first", "first_split", "second", "second_split"}
    shared = ", ".join(f"{_words(key)} {_plain(value)}" for key, value in item.items() if key not in named)
    return f"{first} and {second}" + (f": {shared}" if shared else "")


def labels_of(zero_shot: Mapping[str, Any]) -> list[str]:
    """Names of the classes, or their numbers."""
    return [str(label) for label in zero_shot.get("labels") or range(len(zero_shot["confusion"]))]


def _words(key: str) -> str:
    return str(key).replace("_", " ")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(key)} {_plain(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        more = f", … and {len(value) - _LONG:,} more" if len(value) > _LONG else ""
        return ", ".join(_plain(item) for item in value[:_LONG]) + more
    return str(value)
