"""Reader of VQA-Med 2019: questions on modality, plane, organ and abnormality of images of MedPix.

Layout: `All_QA_Pairs_train.txt` beside `Train_images/`, `All_QA_Pairs_val.txt` beside `Val_images/` and
`VQAMed2019_Test_Questions_w_Ref_Answers.txt` beside `VQAMed2019_Test_Images/`, each in a folder of its own. Lines are
`synpic54082|modality|what modality is shown?|cta - ct angiography`; those of train and val lack the category.

Source: A. Ben Abacha et al., VQA-Med: Overview of the Medical Visual Question Answering Task at ImageCLEF 2019.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.readers.lines import numbered_lines
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError
from vlcore_medical.readers.questions import answer, question
from vlcore_medical.readers.tables import require_folder

_FILES = {
    "train": ("All_QA_Pairs_train.txt", "Train_images"),
    "val": ("All_QA_Pairs_val.txt", "Val_images"),
    "test": ("VQAMed2019_Test_Questions_w_Ref_Answers.txt", "VQAMed2019_Test_Images"),
}


def read_vqa_med(path: Path | str) -> list[Record]:
    """Read questions; the image is the group.

    Args:
        path: folder that holds the files of one or more splits, at any depth.

    Returns:
        Records with the question as text; the labels `answer` (the first that is accepted) and `answers` (all of
        them: the source parts them with `#`, and words in brackets may be left out), and `category` in test.

    Raises:
        ConfigurationError: if there is none of the files.
        ManifestError: listing every bad line.
    """
    path = Path(path)
    require_folder(path, "the text files of VQA-Med 2019")
    found = [(split, file) for split, (name, _) in _FILES.items() for file in sorted(path.rglob(name))]
    if not found:
        raise ConfigurationError(f"{path} holds none of {', '.join(name for name, _ in _FILES.values())}.")
    rows = (row for split, file in found for row in _rows(path, split, file))
    return collect_records(path, rows, path, _record)


def _rows(root: Path, split: str, file: Path) -> Iterator[tuple[str, Any]]:
    images = (file.parent / _FILES[split][1]).relative_to(root).as_posix()
    for number, line in numbered_lines(file):
        place = f"{file.name} line {number}"
        if isinstance(line, RowError):
            yield place, line
        elif line.strip():
            image, *middle = [cell.strip() for cell in line.split("|")]
            if not image or len(middle) not in (2, 3):
                yield place, RowError(f"is {line!r:.80}. It must be image|question|answer or with a category second.")
                continue
            values = {"image": image, "category": middle[0] if len(middle) == 3 else ""}
            yield (
                place,
                {
                    **values,
                    "question": middle[-2],
                    "answer": middle[-1],
                    "split": split,
                    "line": number,
                    "images": images,
                },
            )


def accepted_answers(told: str) -> list[str]:
    """Every answer that counts as right, in the source's order, without repetitions."""
    answers: list[str] = []
    for one in told.split("#"):
        full, short = re.sub(r"[()]", " ", one), re.sub(r"\([^()]*\)", " ", one)
        answers += [" ".join(form.split()) for form in (full, short)]
    return list(dict.fromkeys(form for form in answers if form))


def _record(row: Row) -> Record:
    image, split, category = row.get("image", str), row.get("split", str), row.get("category", str)
    answers = accepted_answers(told := answer(row))
    if not answers:
        raise RowError(f"the answer {told!r} has no words. Write or remove it.")
    return Record(
        id=f"{split}/{row.get('line', int)}",
        image=row.image(f"{row.get('images', str)}/{image}.jpg"),
        texts=(question(row),),
        group=image,
        split=split,
        labels={"answer": answers[0], "answers": answers, **({"category": category} if category else {})},
    )
