"""Reader of PathVQA: questions about images of pathology textbooks.

Layouts: Parquet files `train-*.parquet`, `validation-*.parquet` and `test-*.parquet` with `image`, `question` and
`answer`, as on the Hugging Face hub; or `qas/<split>_vqa.json` beside `images/<split>/`, the original whose `.pkl`
files were written as JSON.

Source: X. He et al., PathVQA: 30000+ Questions for Medical Visual Question Answering, arXiv 2003.10286.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import ImageRef, Record
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore_medical.readers.protocol import SPLITS
from vlcore_medical.readers.questions import answer, identifier, question
from vlcore_medical.readers.tables import in_file, json_rows, require_folder

_ORIGINAL = ("train", "val", "test")


def read_pathvqa(path: Path | str) -> list[Record]:
    """Read questions; the image is the group: in Parquet it is known by its bytes.

    Args:
        path: folder of the Parquet files, or the one that holds `qas/` and `images/`.

    Returns:
        Records with the question as text and the label `answer`, the most agreed one of the original's.

    Raises:
        ConfigurationError: if there are no such files, or only pickles: they can run any code and are never loaded.
        ManifestError: listing every bad question.
    """
    path = Path(path)
    require_folder(path, "PathVQA's Parquet files, or its folders qas and images")
    if tables := sorted(path.rglob("*.parquet")):
        return collect_records(path, (row for table in tables for row in _table_rows(table)), path, _from_table)
    files = [(split, file) for split in _ORIGINAL if (file := path / "qas" / f"{split}_vqa.json").is_file()]
    if not files and any(path.glob("qas/*.pkl")):
        raise ConfigurationError(
            f"{path / 'qas'} holds pickles, which can run any code and are never loaded. Take the Parquet files, or "
            f'write each list as JSON where you trust its source: json.dump(pickle.load(open("train_vqa.pkl", "rb")), '
            f'open("train_vqa.json", "w")).'
        )
    if not files:
        raise ConfigurationError(f"{path} holds neither Parquet files nor qas/train_vqa.json, val or test.")
    rows = (row for split, file in files for row in in_file(file, json_rows(file, "question"), split=split))
    return collect_records(path, rows, path / "images", _from_json)


def _table_rows(file: Path) -> Iterator[tuple[str, Any]]:
    name = file.name.split("-")[0]
    split = SPLITS.get(name, name)
    row = 0
    try:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=256, columns=["image", "question", "answer"]):
                for values in batch.to_pylist():
                    image = values.pop("image", None)
                    pixels = image.get("bytes") if isinstance(image, dict) else None
                    digest = hashlib.blake2b(pixels, digest_size=16).hexdigest() if pixels else None
                    yield f"{file.name} row {row}", {**values, "split": split, "file": file, "row": row, "key": digest}
                    row += 1
    except (pa.ArrowException, OSError) as error:
        message = f"is no readable table of image, question and answer: {error}. Download it again."
        raise ManifestError(file, [Problem(f"row {row}", message)]) from None


def _from_table(row: Row) -> Record:
    group, number = row.get("key", str, None), row.get("row", int)
    if group is None:
        raise RowError("'image' holds no bytes. Download the file again.")
    file: Path = row.values["file"]
    return Record(
        id=f"{file.stem}/{number}",
        image=ImageRef(file, member=f"image:{number}"),
        texts=(question(row),),
        group=group,
        split=row.get("split", str),
        labels={"answer": answer(row)},
    )


def _from_json(row: Row) -> Record:
    name, split = row.get("img_id", str), row.get("split", str)
    scores: dict[str, float] = row.get("label", dict)
    if not scores or not all(isinstance(score, int | float) for score in scores.values()):
        raise RowError(f"'label' is {scores!r:.80}. It must be a table of answers with their scores.")
    return Record(
        id=f"{split}/{identifier(row, 'question_id')}",
        image=row.image(f"{split}/{name}.jpg"),
        texts=(question(row, key="sent"),),
        group=name,
        split=split,
        labels={"answer": max(scores, key=lambda one: scores[one])},
    )
