"""Reader of CholecT50: frames of laparoscopic gallbladder removal with action triplets and phases.

Layout: `frames.jsonl` with `video`, `frame`, `image`, `phase`, `labelled` and `instances` (each with `instrument`,
`verb`, `target`), beside the folder that its image paths start from.

Source: C. I. Nwoye et al., Rendezvous: Attention Mechanisms for the Recognition of Surgical Action Triplets in
Endoscopic Videos, arXiv 2109.03223.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records, json_lines
from vlcore.data.record import Record, Text
from vlcore_surgical.triplets import NO_VERB, THIRD_PERSON, Triplet, sentence

_PARTS = ("instrument", "verb", "target")


def read_cholect50(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read frames; neighbouring frames look alike, so the video is the group.

    Args:
        path: `frames.jsonl`.
        image_root: folder that image paths start from; the file's own if left out.

    Returns:
        Records with one sentence of kind `action`, such as `the grasper retracts the gallbladder`, and the labels
        `phase`, `instruments` and `triplets`. Frames that nobody labelled have neither text nor labels.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad line.
    """
    path = Path(path)
    return collect_records(path, json_lines(path), image_root or path.parent, _record)


def _record(row: Row) -> Record:
    video, frame = row.get("video", str), row.get("frame", int)
    image = row.image(row.get("image", str))
    meta = {"frame": frame, "censored": row.get("censored", bool, False)}
    identifier = f"{video}/{frame:06d}"
    if not row.get("labelled", bool, True):
        return Record(id=identifier, image=image, group=video, meta=meta)
    triplets = [_triplet(instance) for instance in row.get("instances", list)]
    return Record(
        id=identifier,
        image=image,
        texts=(Text(sentence(triplets), lang="en", kind="action"),),
        group=video,
        labels={
            "phase": row.get("phase", str),
            "instruments": sorted({triplet.instrument for triplet in triplets}),
            "triplets": sorted({f"{one.instrument},{one.verb},{one.target}" for one in triplets}),
        },
        meta=meta,
    )


def _triplet(instance: Any) -> Triplet:
    parts: list[Any] = [instance.get(key) if isinstance(instance, dict) else None for key in _PARTS]
    if not all(isinstance(part, str) and part for part in parts):
        raise RowError(f"the instance {instance!r:.80} must have {', '.join(_PARTS)} as text.")
    triplet = Triplet(*parts)
    if triplet.verb != NO_VERB and triplet.verb not in THIRD_PERSON:
        raise RowError(f"the verb {triplet.verb!r} is none of CholecT50's: {', '.join(THIRD_PERSON)}, {NO_VERB}.")
    return triplet
