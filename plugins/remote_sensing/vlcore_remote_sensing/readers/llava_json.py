"""Reader of conversations about images in LLaVA's form: GeoChat, VHM, EarthGPT.

Layout: a JSON list of `{"id", "image", "conversations": [{"from": "human"|"gpt", "value": …}, …]}`. Boxes stand in
the words and differ from set to set (GeoChat counts to 100 and adds an angle, EarthGPT pads to a square first), so
the words are kept as they are.

Source: H. Liu et al., Visual Instruction Tuning, arXiv 2304.08485; K. Kuckreja et al., GeoChat, arXiv 2311.15826.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record, Text
from vlcore_remote_sensing.readers.json_file import json_list, with_places
from vlcore_remote_sensing.readers.left_out import report_left_out

_KINDS = {"human": "question", "gpt": "answer"}


def read_llava_json(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read conversations; those without an image are left out, and a warning says how many.

    Args:
        path: the JSON file.
        image_root: folder that image paths start from; the file's own if left out.

    Returns:
        Records with the turns in order, of kind `question` and `answer` in turn and without the mark `<image>`. The
        image is the group, for several conversations may be about it. An id that comes again gets `#2`, `#3`, ….

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every conversation that is empty or in which the two do not take turns.
    """
    path = Path(path)
    left_out: Counter[str] = Counter()
    rows = _with_images(with_places("conversation", json_list(path), "image"), left_out)
    seen: Counter[str] = Counter()
    records = collect_records(path, rows, image_root or path.parent, lambda row: _record(row, seen))
    report_left_out(path, left_out)
    return records


def _with_images(rows: Iterator[tuple[str, Any]], left_out: Counter[str]) -> Iterator[tuple[str, Any]]:
    for place, row in rows:
        if isinstance(row, dict) and row.get("image") is None:
            left_out["conversations without an image"] += 1
        else:
            yield place, row


def _record(row: Row, seen: Counter[str]) -> Record:
    image = row.get("image", str)
    identifier = row.values.get("id", image)
    if not isinstance(identifier, str | int):
        raise RowError(f"'id' is {identifier!r:.80}. It must be text or a whole number.")
    seen[str(identifier)] += 1
    count = seen[str(identifier)]
    return Record(
        id=str(identifier) if count == 1 else f"{identifier}#{count}",
        image=row.image(image),
        texts=_turns(row.get("conversations", list)),
        group=image,
    )


def _turns(conversation: list[Any]) -> tuple[Text, ...]:
    texts = []
    for number, turn in enumerate(conversation, start=1):
        speaker, value = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (None, None)
        expected = "human" if number % 2 else "gpt"
        if speaker != expected:
            raise RowError(f"turn {number} is from {speaker!r:.40}. human and gpt must take turns, human first.")
        words = value.replace("<image>", " ").strip() if isinstance(value, str) else ""
        if not words:
            raise RowError(f"turn {number} ({turn!r:.80}) has no words in 'value'. Write or remove it.")
        texts.append(Text(words, lang="und", kind=_KINDS[expected]))
    if not texts or len(texts) % 2:
        raise RowError(f"has {len(texts)} turns. Every question needs its answer.")
    return tuple(texts)
