"""The words of the model card, made from its facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

_HUB_LICENCES = {
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "openrail", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0",
    "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "gpl-3.0", "agpl-3.0", "gemma",
}  # fmt: skip
"""Licence identifiers that the hub knows; every other licence is `other` with a name."""


_SEARCH = (
    "Images and texts in one space: search images by words, classify them by words. Made with vlcore.",
    '## Use\n\n```python\nimport vlcore\n\nmodel = vlcore.load("PATH_TO_THIS_FOLDER")\n'
    'vectors = model.embed_texts(["words to search for"])\n```',
)


def render_card(facts: Mapping[str, Any]) -> str:
    """README.md from `ModelCard.to_dict()`."""
    sections = [
        f"# {_line(facts['name'])}",
        *([f"{_line(facts['purpose'])} Made with vlcore."] if facts["purpose"] else _SEARCH),
        "## Scores\n\n" + _scores(facts["scores"], facts["floors"]),
        "## Data\n\n" + _table(facts["data"]),
        "## Training\n\n" + _table(facts["training"]),
        "## Towers and their licences\n\n" + _towers(facts["towers"]),
        "## Made with\n\n" + _table(facts["versions"]),
    ]  # fmt: skip
    if facts["command"]:
        sections.append(f"Command:\n\n```\n{facts['command'].replace('```', '')}\n```")
    return f"---\n{_front_matter(facts)}---\n\n" + "\n\n".join(sections) + "\n"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by ` / `."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key} / ")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _front_matter(facts: Mapping[str, Any]) -> str:
    # `Apache-2.0 (weights; wheel MIT)` counts as its identifier.
    licences = {(tower.get("licence", "").split() or [""])[0].lower() for tower in facts["towers"].values()}
    searched = not facts["purpose"]
    front: dict[str, Any] = {"library_name": "vlcore"}
    if searched:
        front["pipeline_tag"] = "zero-shot-image-classification"
    common = licences.pop() if len(licences) == 1 else ""
    if common in _HUB_LICENCES:
        front["license"] = common
    else:
        front |= {"license": "other", "license_name": "licences-of-the-towers", "license_link": "README.md"}
    front["tags"] = ["vlcore", *(["image-text-retrieval", "image-feature-extraction"] if searched else [])]
    front["vlcore"] = facts
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True)


def _scores(scores: Mapping[str, Any], floors: Mapping[str, Any]) -> str:
    rows = flatten(scores)
    if not rows:
        return "Not evaluated."
    names = [name for name, values in floors.items() if isinstance(values, Mapping)]
    columns = {name: flatten(floors[name]) for name in names}
    single = {name: value for name, value in floors.items() if name not in columns}
    if single:
        columns["floor"] = single
    lines = [_row("measure", "value", *(f"floor: {n}" if n != "floor" else n for n in columns))]
    lines.append(_row(*["---"] * (2 + len(columns))))
    lines += [_row(key, value, *(column.get(key, "") for column in columns.values())) for key, value in rows.items()]
    return "\n".join(lines)


def _towers(towers: Mapping[str, Mapping[str, str]]) -> str:
    lines = [_row("tower", "source", "licence of the weights"), _row("---", "---", "---")]
    lines += [_row(side, tower.get("source", ""), tower.get("licence", "")) for side, tower in towers.items()]
    return "\n".join(lines)


def _table(values: Mapping[str, Any]) -> str:
    flat = flatten(values)
    if not flat:
        return "Not stated."
    return "\n".join([_row("what", "value"), _row("---", "---"), *(_row(key, value) for key, value in flat.items())])


def _row(*cells: Any) -> str:
    return "| " + " | ".join(_line(cell) for cell in cells) + " |"


def _line(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        value = ", ".join(_line(item) for item in value)
    return " ".join(str(value).split()).replace("|", "\\|")
