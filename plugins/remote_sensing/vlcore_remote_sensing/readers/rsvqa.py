"""Reader of RSVQA: questions and answers about aerial and satellite images, in low and high resolution and xBEN.

Layout: `<LR|USGS|RSVQAxBEN>_split_<train|val|test|…>_{images,questions,answers}.json` beside `Images_LR`, `Data` or
`Images`. A question names its image (`img_id`) and its answers (`answers_ids`) by the ids of those lists. Inactive
rows carry an id alone. An answer names its question as well, under a key that copies spell differently; the way
from the question to its answers needs none of them.

Source: S. Lobry et al., RSVQA: Visual Question Answering for Remote Sensing Data, arXiv 2003.07333.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore_remote_sensing.readers.image_folder import image_folder
from vlcore_remote_sensing.readers.json_file import json_list
from vlcore_remote_sensing.readers.left_out import report_left_out
from vlcore_remote_sensing.readers.question_answer import question_and_answer

FOLDERS = ("Images_LR", "Data", "Images")


def read_rsvqa(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read questions; inactive ones are left out, and a warning says how many.

    Args:
        path: folder of the JSON files, or one `…_questions.json`.
        image_root: folder of the images, or one with a sub-folder of `FOLDERS`; that of the files if left out.

    Returns:
        A record a question: texts of kind `question` and `answer`, the labels `answer` and `question_type`, the image
        as group. The id is `<prefix>_<split>/<id of the question>`.

    Raises:
        ConfigurationError: if a file is missing.
        ManifestError: listing every active question whose image or answer is not there or inactive.
    """
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.glob("*_split_*_questions.json"))
    if not files:
        raise ConfigurationError(f"{path} has no <prefix>_split_<split>_questions.json. Give the folder of them.")
    left_out: Counter[str] = Counter()
    records = [record for file in files for record in _read(file, image_root, left_out)]
    report_left_out(path, left_out)
    return records


def _read(file: Path, image_root: Path | None, left_out: Counter[str]) -> list[Record]:
    found = re.fullmatch(r"(.+)_split_(.+)_questions\.json", file.name)
    if found is None:
        raise ConfigurationError(f"{file.name!r} is not named <prefix>_split_<split>_questions.json. Rename it.")
    prefix, split = found.groups()
    stem = file.name.removesuffix("questions.json")
    images = _by_id(file.with_name(f"{stem}images.json"), "images")
    answers = _by_id(file.with_name(f"{stem}answers.json"), "answers")
    questions = _by_id(file, "questions")
    first = next((f"{number}.tif" for number, image in images.items() if image.get("active")), None)
    folder = image_folder(image_root or file.parent, first, FOLDERS)

    def record(row: Row) -> Record:
        image = _active(images, row.get("img_id", int), "image")
        answer = _active(answers, _only(row.get("answers_ids", list)), "answer")
        return question_and_answer(
            identifier=f"{prefix}_{split}/{row.get('id', int)}",
            image=row.image(f"{image['id']}.tif"),
            question=row.get("question", str),
            answer=answer.get("answer"),
            group=f"{prefix}/{image['id']}",
            split=split,
            labels={"question_type": row.get("type", str)},
        )

    return collect_records(file, _active_rows(questions, left_out), folder, record)


def _by_id(path: Path, key: str) -> dict[int, dict[str, Any]]:
    """Rows by their id: its place in the list in published files, though copies may have left rows out."""
    rows: dict[int, dict[str, Any]] = {}
    problems = []
    for number, row in enumerate(json_list(path, key), start=1):
        identifier = row.get("id") if isinstance(row, dict) else None
        if not isinstance(identifier, int):
            problems.append(Problem(f"{key} {number}", f"has no whole number as 'id': {row!r:.80}. Restore it."))
        elif identifier in rows:
            problems.append(Problem(f"{key} {number}", f"the id {identifier} comes twice. Remove one of them."))
        else:
            rows[identifier] = row
    if problems:
        raise ManifestError(path, problems)
    return rows


def _active_rows(questions: dict[int, dict[str, Any]], left_out: Counter[str]) -> Iterator[tuple[str, Any]]:
    for number, question in questions.items():
        if question.get("active"):
            yield f"question {number}", question
        else:
            left_out["inactive questions"] += 1


def _only(identifiers: list[Any]) -> int:
    if len(identifiers) != 1 or not isinstance(identifiers[0], int):
        raise RowError(f"'answers_ids' is {identifiers!r:.80}. It must hold the id of one answer.")
    return identifiers[0]


def _active(rows: dict[int, dict[str, Any]], identifier: int, what: str) -> dict[str, Any]:
    row = rows.get(identifier)
    if row is None or not row.get("active"):
        state = "is not there" if row is None else "is inactive"
        raise RowError(f"its {what} {identifier} {state}. Download the files again, or set the question inactive.")
    return row
