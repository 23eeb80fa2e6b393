"""Reader of RSIVQA: questions and answers about images of UCM, Sydney, AID, HRRSD and DOTA.

Layout: text files such as `rsicd_vqa.txt` with lines `00433.jpg:question?answer`, images in a folder of their own.

Source: X. Zheng et al., Mutual Attention Inception Network for Remote Sensing Visual Question Answering, IEEE TGRS
2021, doi 10.1109/TGRS.2021.3079918; github.com/spectralpublic/RSIVQA.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records, require_file
from vlcore.data.readers.lines import numbered_lines
from vlcore.data.record import Record
from vlcore_remote_sensing.readers.question_answer import question_and_answer


def read_rsivqa(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read questions.

    Args:
        path: a text file of the data set.
        image_root: folder of the images; the file's own if left out.

    Returns:
        A record a line: texts of kind `question` and `answer`, the label `answer`, the image as group. The id is
        `<file>/<line>`.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every line that is not `image:question?answer`.
    """
    path = Path(path)
    require_file(path)

    def record(row: Row) -> Record:
        name = row.get("image", str)
        return question_and_answer(
            identifier=f"{path.stem}/{row.get('line', int)}",
            image=row.image(name),
            question=row.get("question", str),
            answer=row.get("answer", str),
            group=name,
            split=None,
            labels={},
        )

    return collect_records(path, _rows(path), image_root or path.parent, record)


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in numbered_lines(path):
        place = f"line {number}"
        if isinstance(line, RowError):
            yield place, line
        elif line.strip():
            name, colon, rest = line.partition(":")
            question, mark, answer = rest.rpartition("?")
            if not colon or not mark:
                yield place, RowError(f"{line!r:.80} is not of the form 'image:question?answer'. Mend the line.")
            else:
                values = {"image": name.strip(), "question": f"{question}?", "answer": answer, "line": number}
                yield place, values
