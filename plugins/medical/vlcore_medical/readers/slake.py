"""Reader of SLAKE: questions in English and Chinese about radiographs, CT and MRI, some of them about knowledge.

Layout: `train.json`, `validate.json` (or `validation.json`) and `test.json`, each a list of questions, beside
`imgs/xmlab<n>/` with `source.jpg`, `mask.png` and `detection.json`.

Source: B. Liu et al., SLAKE: A Semantically-Labeled Knowledge-Enhanced Dataset for Medical Visual Question
Answering, arXiv 2102.09542.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError
from vlcore_medical.readers.protocol import SPLITS, check_choice
from vlcore_medical.readers.questions import answer, answer_type, identifier, question
from vlcore_medical.readers.tables import in_file, json_rows, require_folder

LANGUAGES = ("en", "zh")
_FILES = ("train", "validate", "validation", "test")


def read_slake(path: Path | str, image_root: Path | None = None, lang: str | None = None) -> list[Record]:
    """Read questions; the image is the group, and the source's split keeps images apart.

    Args:
        path: the folder of the JSON files, or one of them.
        image_root: folder that image names start from; `imgs` beside the files if left out.
        lang: `en` or `zh`, the language of the questions to keep; both if left out.

    Returns:
        Records with the question as text; the labels `answer`, `answer_type`, `content_type`, `base_type` (`kvqa`
        asks for knowledge that is not in the image), `location` and `modality`; in `meta` the `triple` of the
        knowledge graph, and the `mask` and `detection` files of the image where they exist.

    Raises:
        ConfigurationError: if there is none of the files, or for another language.
        ManifestError: listing every bad question.
    """
    if lang is not None:
        check_choice("lang", lang, LANGUAGES)
    path = Path(path)
    folder = image_root or (path if path.is_dir() else path.parent) / "imgs"
    rows = (
        (place, values)
        for place, values in _rows(path)
        # A language that the data set does not have goes on, to be reported.
        if lang is None
        or not isinstance(values, dict)
        or values.get("q_lang") not in LANGUAGES
        or values["q_lang"] == lang
    )
    return collect_records(path, rows, folder, _record)


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix == ".json":
        files = [path]
    else:
        require_folder(path, "train.json, validate.json and test.json")
        files = [file for name in _FILES if (file := path / f"{name}.json").is_file()]
    if not files:
        raise ConfigurationError(f"{path} holds none of {', '.join(f'{name}.json' for name in _FILES)}.")
    for file in files:
        split = SPLITS.get(file.stem, file.stem)
        yield from in_file(file, json_rows(file, "question"), split=split)


def _record(row: Row) -> Record:
    name, lang, split = row.get("img_name", str), row.get("q_lang", str), row.get("split", str)
    if lang not in LANGUAGES:
        raise RowError(f"'q_lang' is {lang!r}. It must be one of {', '.join(LANGUAGES)}.")
    beside = {"mask": "mask.png", "detection": "detection.json"}
    files = {key: str(PurePosixPath(name).parent / file) for key, file in beside.items()}
    image = row.image(name)
    triple = row.get("triple", list, [])
    return Record(
        id=f"{split}/{identifier(row, 'qid')}",
        image=image,
        texts=(question(row, lang),),
        group=name,
        split=split,
        labels={
            "answer": answer(row),
            "answer_type": answer_type(row),
            **{key: row.get(key, str) for key in ("content_type", "base_type", "location", "modality")},
        },
        meta={
            **({"triple": triple} if triple else {}),
            **{key: file for key, file in files.items() if (image.path.parent / beside[key]).is_file()},
        },
    )
