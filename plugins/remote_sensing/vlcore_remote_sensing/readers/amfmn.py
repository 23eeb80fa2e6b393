"""Reader of the text form in which AMFMN and its successors keep RSICD, RSITMD, UCM and Sydney.

Layout: a folder such as `rsicd_precomp` with `train_caps.txt` and `train_filename.txt`, likewise for `val` and
`test`: five lines of captions an image. The names come once an image (as in its train files) or once a caption (as
in its test files). Its `train` of RSICD is train and val of the official splits; the files `…_verify.txt`, which divide
the training images again, are not read.

Source: Z. Yuan et al., Exploring a Fine-Grained Multiscale Method for Cross-Modal Remote Sensing Image Retrieval,
arXiv 2204.09868; code github.com/xiaoyuan1996/AMFMN.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore_remote_sensing.readers.karpathy import english_caption, scene_of
from vlcore_remote_sensing.readers.left_out import report_left_out
from vlcore_remote_sensing.readers.splits import SPLITS
from vlcore_remote_sensing.readers.text_lines import text_lines

CAPTIONS_PER_IMAGE = 5


def read_amfmn(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read captioned tiles; blank captions are left out, and a warning says how many.

    Args:
        path: the folder of the text files.
        image_root: folder of the images; that of the text files if left out.

    Returns:
        Records of all splits that are there, with the captions in order; where file names begin with the scene it
        becomes `label`.

    Raises:
        ConfigurationError: if no split is there, or a file of names is missing.
        ManifestError: if captions and names do not go together, with file and line.
    """
    folder = Path(path)
    splits = [split for split in SPLITS if (folder / f"{split}_caps.txt").is_file()]
    if not splits:
        raise ConfigurationError(f"{folder} has no train_caps.txt, val_caps.txt or test_caps.txt. Give their folder.")
    left_out: Counter[str] = Counter()
    rows = [row for split in splits for row in _images(folder, split, left_out)]
    records = collect_records(folder, rows, image_root or folder, _record)
    report_left_out(folder, left_out)
    return records


def _images(folder: Path, split: str, left_out: Counter[str]) -> Iterator[tuple[str, Any]]:
    # Blank lines are lines too: the place of a caption says whose it is.
    captions, names = text_lines(folder / f"{split}_caps.txt"), text_lines(folder / f"{split}_filename.txt")
    if len(captions) not in (len(names), CAPTIONS_PER_IMAGE * len(names)) or len(captions) % CAPTIONS_PER_IMAGE:
        message = (
            f"has {len(names):,} lines for {len(captions):,} captions. It needs one a caption, or one for every "
            f"{CAPTIONS_PER_IMAGE}. Download the pair of files again."
        )
        raise ManifestError(folder, [Problem(f"{split}_filename.txt", message)])
    per_image = CAPTIONS_PER_IMAGE if len(captions) == len(names) else 1
    for number, start in enumerate(range(0, len(captions), CAPTIONS_PER_IMAGE)):
        block = names[number * per_image : (number + 1) * per_image]
        line = number * per_image + 1
        place = f"{split}_filename.txt, line {line}"
        if len(set(block)) > 1:
            found = ", ".join(dict.fromkeys(block))
            problem = f"lines {line} to {line + per_image - 1} must name one image, and they name {found}. Mend them."
            yield place, RowError(problem)
            continue
        texts = [caption for caption in captions[start : start + CAPTIONS_PER_IMAGE] if caption.strip()]
        left_out["blank captions"] += CAPTIONS_PER_IMAGE - len(texts)
        yield f"{place} ({block[0]})", {"image": block[0], "captions": texts, "split": split}


def _record(row: Row) -> Record:
    name = row.get("image", str)
    if not (captions := row.get("captions", list)):
        raise RowError("has no caption. Write one, or remove the image.")
    scene = scene_of(name)
    return Record(
        id=name,
        image=row.image(name),
        texts=tuple(map(english_caption, captions)),
        split=row.get("split", str),
        labels={} if scene is None else {"label": scene},
    )
