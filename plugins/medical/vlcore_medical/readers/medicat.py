"""Reader of MedICaT: figures of articles with captions and the sentences that refer to them.

Layout: one file of JSON Lines with `pdf_hash`, `fig_uri`, `radiology`, `s2_caption` and `s2orc_references`, beside
`figures/<pdf_hash>_<fig_uri>`.

Source: S. Subramanian et al., MedICaT: A Dataset of Medical Images, Captions, and Textual References, arXiv 2010.06000.
"""

from __future__ import annotations

from pathlib import Path

from vlcore.data.reader import Row, RowError, collect_records, json_lines
from vlcore.data.record import Record, Text
from vlcore_medical.readers.captions import caption


def read_medicat(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read figures; the article is the group.

    Args:
        path: the file.
        image_root: folder of the figures; `figures` beside the file if left out.

    Returns:
        Records with the caption and a text of kind `reference` for each sentence that refers to the figure, and the
        label `radiology` (true or false).

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad line.
    """
    path = Path(path)
    return collect_records(path, json_lines(path), image_root or path.parent / "figures", _record)


def _record(row: Row) -> Record:
    article = row.get("pdf_hash", str)
    name = f"{article}_{row.get('fig_uri', str)}"
    references = row.get("s2orc_references", list, [])
    if not all(isinstance(one, str) for one in references):
        raise RowError(f"'s2orc_references' is {references!r:.80}. It must be a list of texts, or null.")
    sentences = [" ".join(one.split()) for one in references]
    return Record(
        id=name,
        image=row.image(name),
        texts=(
            caption(row, "s2_caption"),
            *(Text(sentence, lang="en", kind="reference") for sentence in sentences if sentence),
        ),
        group=article,
        labels={"radiology": row.get("radiology", bool)},
    )
