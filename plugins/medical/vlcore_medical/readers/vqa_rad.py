"""Reader of VQA-RAD: questions of clinicians about radiographs, CT and MRI.

Layouts: `VQA_RAD Dataset Public.json` beside `VQA_RAD Image Folder/`, as its authors give it; `qa.jsonl` with the
official split and one that is disjoint by image; a folder with `trainset.json`, `testset.json` and `images/` (MEVF).

Source: J. J. Lau et al., A dataset of clinically generated visual questions and answers about radiology images,
Scientific Data 5, 2018. MEVF: B. D. Nguyen et al., arXiv 1909.11867.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, collect_records, json_lines
from vlcore.data.record import Record
from vlcore_medical.readers.protocol import Protocol, check_choice, without_leaks
from vlcore_medical.readers.questions import answer, answer_type, identifier, question
from vlcore_medical.readers.tables import in_file, json_rows

_TYPOS = {"ATRIB": "ATTRIB", "PRSE": "PRES"}
_MEVF = {"trainset.json": "train", "testset.json": "test"}
_DISJOINT = "split_by_image"


def read_vqa_rad(path: Path | str, image_root: Path | None = None, protocol: Protocol = "paper") -> list[Record]:
    """Read questions; the image is the group.

    Under `paper` the split is the official one: 202 of its 203 test images also occur in train, so a model can answer
    by recognising the image. Under `strict` no image is on both sides: by the column `split_by_image` where the file
    has it, otherwise by leaving out, counted, the training questions about images of test.

    Args:
        path: one of the two files, or the folder of MEVF.
        image_root: folder that image names start from; where the layout has it if left out.
        protocol: `paper` or `strict`.

    Returns:
        Records with the question as text, and the labels `answer`, `answer_type` (CLOSED or OPEN), `question_type` (a
        list; spelling mistakes of the source are mended) and `organ`.

    Raises:
        ConfigurationError: if the file does not exist, or for another protocol.
        ManifestError: listing every bad question.
    """
    check_choice("protocol", protocol, ("paper", "strict"))
    path = Path(path)
    folder = image_root or _image_folder(path)
    if path.suffix == ".jsonl":
        records = collect_records(path, json_lines(path), folder, _record)
    elif path.is_dir():
        records = collect_records(path, _mevf_rows(path), folder, _record)
    else:
        records = collect_records(path, json_rows(path, "question"), folder, _record)
    if protocol == "paper":
        return records
    if all(_DISJOINT in record.meta for record in records):
        return [replace(record, split=record.meta[_DISJOINT]) for record in records]
    return without_leaks(path, records)


def _image_folder(path: Path) -> Path:
    if path.is_dir():
        return path / "images"
    return path.parent if path.suffix == ".jsonl" else path.parent / "VQA_RAD Image Folder"


def _mevf_rows(folder: Path) -> Iterator[tuple[str, Any]]:
    for name, split in _MEVF.items():
        # A question and its paraphrases share a qid there.
        rows = json_rows(folder / name, "question")
        for number, row in enumerate(in_file(folder / name, rows, split=split), start=1):
            place, values = row
            yield place, {**values, "id": f"{split}/{number}"} if isinstance(values, dict) else values


def _record(row: Row) -> Record:
    name = row.get("image", str, None) or row.get("image_name", str)
    phrase = row.get("phrase_type", str)
    number = identifier(row, "qid")
    kinds = [kind.strip().upper() for kind in row.get("question_type", str).split(",")]
    meta = {
        "qid": number,
        "phrase_type": phrase,
        "rephrased": row.get("question_rephrase", str, "NULL"),
        _DISJOINT: row.get(_DISJOINT, str, ""),
    }
    return Record(
        id=row.get("id", str, number),
        image=row.image(name),
        texts=(question(row),),
        group=name,
        split=row.get("split", str, "test" if phrase.startswith("test") else "train"),
        labels={
            "answer": answer(row),
            "answer_type": answer_type(row),
            "question_type": [_TYPOS.get(kind, kind) for kind in kinds],
            "organ": row.get("organ", str, None) or row.get("image_organ", str),
        },
        meta={key: value for key, value in meta.items() if value not in ("", "NULL")},
    )
