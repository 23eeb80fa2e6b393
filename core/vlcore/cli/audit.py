"""`vlcore audit`: do the splits of a manifest leak into each other?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vlcore.cli.console import Format, print_json, print_table

SHOWN = 3
"""Examples of each kind of leak in the table; the JSON holds all that were kept."""


def audit(
    manifest: Path,
    image_root: Path | None = None,
    images: bool = True,
    format: Format = "table",
    reader: str | None = None,
) -> int:
    """Look for leaks between the splits of a manifest: what a model has seen in training and is then tested on.

    Args:
        manifest: JSONL, CSV, Parquet, webdataset tar, data set folder, or a folder of images.
        image_root: folder that the manifest's image paths start from; the manifest's own if left out.
        reader: a plugin's reader for a layout of its own, such as medical/vqa_rad, its options behind a colon
            (medical/vqa_rad:protocol=strict); see `vlcore plugins`.
        images: also compare the images themselves, identical and nearly identical ones; reads every file.
        format: `table` for people, `json` for programs.

    Returns:
        0 where nothing leaks, 1 where something does.

    Examples:
        vlcore audit captions.jsonl
        vlcore audit captions.jsonl --no-images --format json
    """
    from vlcore.data.audit import audit_splits
    from vlcore.data.manifest import open_manifest

    found = audit_splits(open_manifest(manifest, image_root=image_root, reader=reader), images=images)
    if format == "json":
        print_json(found.to_dict())
    else:
        print_table(("what", "count", "examples"), list(_rows(found.to_dict())))
        print(
            "The splits leak: what a model was trained on is in what it is tested on." if found.leaks else "No leaks."
        )
    return 1 if found.leaks else 0


def _rows(findings: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """One row per finding: a finding is a number, or a table with `count` and `examples`."""
    for name, value in findings.items():
        finding = value if isinstance(value, Mapping) else {"count": value}
        if "count" in finding:
            examples = finding.get("examples", ())
            yield name.replace("_", " "), str(finding["count"]), "; ".join(str(one) for one in examples[:SHOWN])
        else:
            yield name.replace("_", " "), "", ", ".join(f"{key} {number}" for key, number in finding.items())
