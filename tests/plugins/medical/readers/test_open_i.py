"""The reader of Open-I, on small trees in both layouts and on the real reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.open_i import read_open_i

SECTIONS = {"COMPARISON": None, "INDICATION": "Pain", "FINDINGS": "Heart is\n  large. XXXX.", "IMPRESSION": ""}


def xml(number: int, images: list[str], sections: dict[str, Any] = SECTIONS) -> str:
    """One file as the archive has it."""
    abstract = "".join(f'<AbstractText Label="{name}">{text or ""}</AbstractText>' for name, text in sections.items())
    parents = "".join(
        f'<parentImage id="{image}"><figureId>F{place}</figureId><caption>PA and  lateral </caption></parentImage>'
        for place, image in enumerate(images, start=1)
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?><eCitation><uId id="CXR{number}"/><MedlineCitation><Article><Abstract>'
        f"{abstract}</Abstract></Article></MedlineCitation><MeSH><major>Cardiomegaly/mild</major><major/>"
        f"<automatic>heart</automatic></MeSH>{parents}</eCitation>"
    )


def tree(folder: Path) -> Path:
    """Write three reports: of two images, of one, and of none."""
    (folder / "ecgen-radiology").mkdir()
    for number, images in ((2, ["CXR2_IM-1-1001", "CXR2_IM-1-2001"]), (10, ["CXR10_IM-2-1001"]), (11, [])):
        (folder / "ecgen-radiology" / f"{number}.xml").write_text(xml(number, images), encoding="utf-8")
        for image in images:
            (folder / f"{image}.png").write_bytes(b"png")
    (folder / "ecgen-radiology" / "._2.xml").write_bytes(b"\0")  # as archives of a Mac have it
    return folder


def test_images_have_the_sections_of_their_report(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="1 reports without an image left out"):
        first, second, third = read_open_i(tree(tmp_path))
    assert [record.id for record in (first, second, third)] == ["CXR2_IM-1-1001", "CXR2_IM-1-2001", "CXR10_IM-2-1001"]
    assert [(text.kind, text.text) for text in first.texts] == [
        ("indication", "Pain"),
        ("findings", "Heart is large. XXXX."),
    ]
    assert (first.group, second.group, third.group) == ("2", "2", "10")
    assert first.labels == {"mesh": ["Cardiomegaly/mild"], "automatic": ["heart"]}
    assert second.meta == {"report": "2", "views": ["CXR2_IM-1-1001.png"], "figure": "F2", "caption": "PA and lateral"}
    assert "views" not in third.meta
    assert first.split is None


@pytest.mark.parametrize("place", ["2/2_IM-1-1001.dcm", "2_IM-1-1001.dcm"])
def test_names_in_the_dicom_archive_lack_the_prefix(tmp_path: Path, place: str) -> None:
    images = tmp_path / "dicom"
    (images / "2").mkdir(parents=True)
    for name in (place, place.replace("1001", "2001")):
        (images / name).write_bytes(b"dicom")
    source = tmp_path / "xml"
    source.mkdir()
    (source / "2.xml").write_text(xml(2, ["CXR2_IM-1-1001", "CXR2_IM-1-2001"]))
    first, _ = read_open_i(source, image_root=images)
    assert first.image.path == images / place
    assert first.meta["views"] == [place.replace("1001", "2001")]
    assert (images / first.meta["views"][0]).is_file()


def test_all_bad_reports_are_listed(tmp_path: Path) -> None:
    path = tree(tmp_path)
    source = path / "ecgen-radiology"
    (source / "3.xml").write_text("<eCitation>")
    (source / "4.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><eCitation>&b;</eCitation>')
    (source / "5.xml").write_text(xml(5, ["CXR5_IM-1-1001", "../CXR5"]))
    (source / "6.xml").write_text(xml(6, ["CXR2_IM-1-1001"]))
    with pytest.raises(ManifestError) as caught:
        read_open_i(path)
    for part in (
        "ecgen-radiology/3.xml: is no XML that can be read: ParseError",
        "ecgen-radiology/4.xml: is no XML that can be read: EntitiesForbidden",
        "5.xml, image 1: the image 'CXR5_IM-1-1001.png' or '5/5_IM-1-1001.dcm' or '5_IM-1-1001.dcm' is not in",
        "5.xml, image 2: The path '../CXR5.png' leads out of",
        "6.xml, image 1: the id 'CXR2_IM-1-1001' is also on ecgen-radiology/2.xml, image 1",
    ):
        assert part in str(caught.value)
    assert len(caught.value.problems) == 5


def test_a_bad_line_and_a_missing_source_are_told(tmp_path: Path) -> None:
    (tmp_path / "reports.jsonl").write_text('{"id": "1", "images": "CXR1"}\n[]\nno json\n')
    with pytest.raises(ManifestError) as caught:
        read_open_i(tmp_path / "reports.jsonl")
    assert [problem.place for problem in caught.value.problems] == ["line 1", "line 2", "line 3"]
    assert "It must be a report with a list of 'images'" in str(caught.value)
    with pytest.raises(ConfigurationError, match="is no folder"):
        read_open_i(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="is no file"):
        read_open_i(tmp_path / "nowhere.jsonl")


def test_the_real_reports(data_root: Path, tmp_path: Path) -> None:
    path = data_root / "medical" / "iu_reports" / "reports.jsonl"
    reports = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for report in reports:
        for image in report["images"]:
            (tmp_path / f"{image}.png").touch()  # the reports come without pixels
    with pytest.warns(UserWarning, match="104 reports without an image left out"):
        records = read_open_i(path, image_root=tmp_path)
    assert len(records) == 7470
    assert len({record.group for record in records}) == 3955 - 104
    assert {text.kind for record in records for text in record.texts} == {
        "indication",
        "comparison",
        "findings",
        "impression",
    }
    by_report = {report["id"]: report for report in reports}
    for record in records:
        report = by_report[str(record.group)]
        assert record.labels == {"mesh": report["mesh"], "automatic": report["auto"]}
        assert len(record.meta.get("views", [])) == len(report["images"]) - 1
