"""Reader of Open-I, the chest X-rays of Indiana University (IU X-Ray).

Layouts: a folder of XML files such as `ecgen-radiology/1.xml`, as `NLMCXR_reports.tgz` unpacks; or `reports.jsonl`
with `id`, the four sections, `mesh`, `auto` and `images`. Images are `<id>.png`; of the DICOM archive
`<report>/<id>.dcm` or `<id>.dcm`, where ids lack the beginning `CXR`.

Source: D. Demner-Fushman et al., Preparing a collection of radiology examinations for distribution and retrieval,
JAMIA 23, 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records, json_lines
from vlcore.data.record import Record, Text
from vlcore_medical.readers.images import find_image
from vlcore_medical.readers.protocol import tell_counts
from vlcore_medical.readers.tables import require_folder

SECTIONS = ("indication", "comparison", "findings", "impression")


def read_open_i(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read images, each with the report it belongs to; patients are not told apart, so the report is the group.

    Args:
        path: folder of the XML files, searched at any depth, or `reports.jsonl`.
        image_root: folder of the images; `path` or the folder of the file if left out.

    Returns:
        Records with the sections that have words, as texts of their kinds; the labels `mesh` (by hand, such as
        `Cardiomegaly/mild`) and `automatic` (by a program); in `meta` the `report`, the other `views` and, from XML,
        `figure` and `caption`. `XXXX` stands where the source took words out. Reports without an image are counted in
        a warning.

    Raises:
        ConfigurationError: if there is no such file or folder.
        ManifestError: listing every bad report and image.
    """
    path = Path(path)
    if path.suffix != ".jsonl":
        require_folder(path, "the XML files of Open-I")
    reports = list(json_lines(path) if path.suffix == ".jsonl" else _xml_reports(path))
    folder = image_root or (path if path.is_dir() else path.parent)
    rows = (row for place, values in reports for row in _images(place, values))
    records = collect_records(path, rows, folder, _record)
    bare = sum(isinstance(values, dict) and values.get("images") == [] for _, values in reports)
    tell_counts(path, {"reports without an image left out": bare})
    return records


def _xml_reports(folder: Path) -> Iterator[tuple[str, Any]]:
    """Reports with the keys of `reports.jsonl`, in the order of their numbers; files that are none come as errors."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, parse

    files = (path for path in folder.rglob("*.xml") if not path.name.startswith("."))
    for path in sorted(files, key=lambda path: (len(path.stem), path.stem)):
        place = path.relative_to(folder).as_posix()
        try:
            root = parse(path).getroot()
        except (ParseError, DefusedXmlException) as error:
            yield place, RowError(f"is no XML that can be read: {error!r}. Unpack the archive again.")
            continue
        known = root.find("uId")
        sections = {one.get("Label", "").lower(): one.text for one in root.iter("AbstractText")}
        yield (
            place,
            {
                "id": None if known is None else known.get("id", "").removeprefix("CXR"),
                **{name: sections.get(name) for name in SECTIONS},
                "mesh": [one.text for one in root.iterfind("MeSH/major") if one.text],
                "auto": [one.text for one in root.iterfind("MeSH/automatic") if one.text],
                "images": [one.get("id") for one in root.iter("parentImage")],
                "figures": [one.findtext("figureId") or "" for one in root.iter("parentImage")],
                "captions": [one.findtext("caption") or "" for one in root.iter("parentImage")],
            },
        )


def _images(place: str, report: Any) -> Iterator[tuple[str, Any]]:
    """The rows of a report's images; what is no report goes on, to be reported."""
    images = report.get("images") if isinstance(report, dict) else None
    if not isinstance(images, list):
        yield (
            place,
            report
            if isinstance(report, RowError)
            else RowError(f"is {report!r:.80}. It must be a report with a list of 'images'."),
        )
        return
    for number, image in enumerate(images):
        yield f"{place}, image {number + 1}", {**report, "image": image, "number": number}


def _record(row: Row) -> Record:
    image, report, number = row.get("image", str), row.get("id", str), row.get("number", int)
    name, reference = find_image(row, _names(image, report))
    sections = {kind: " ".join(row.get(kind, str, "").split()) for kind in SECTIONS}
    bare = image.removeprefix("CXR")
    others = [str(one).removeprefix("CXR") for one in row.get("images", list) if one != image]
    meta = {
        "report": report,
        # The other images lie beside this one, and are of its kind.
        "views": [name.replace(bare, one) for one in others],
        "figure": "".join(row.get("figures", list, [])[number : number + 1]).strip(),
        "caption": " ".join("".join(row.get("captions", list, [])[number : number + 1]).split()),
    }
    return Record(
        id=image,
        image=reference,
        texts=tuple(Text(words, lang="en", kind=kind) for kind, words in sections.items() if words),
        group=report,
        labels={key: row.get(source, list) for key, source in (("mesh", "mesh"), ("automatic", "auto"))},
        meta={key: value for key, value in meta.items() if value},
    )


def _names(image: str, report: str) -> list[str]:
    bare = image.removeprefix("CXR")
    return [f"{image}.png", f"{report}/{bare}.dcm", f"{bare}.dcm"]
