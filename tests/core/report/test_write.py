"""The page as a whole: complete, closed, safe, and alone."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from vlcore.report import ReportData, write_report
from vlcore.report.write import render_report


@pytest.fixture
def page(html, read_page):
    return read_page(html)


def test_writes_page_and_figures(report_data, tmp_path):
    written = write_report(tmp_path / "run" / "report.html", report_data)
    assert [path.name for path in written] == [
        "report.html",
        "report_recall.png",
        "report_ranks.png",
        "report_curves.png",
        "report_confusion.png",
    ]
    assert sorted(tmp_path.joinpath("run").iterdir()) == sorted(written)
    for path in written[1:]:
        with Image.open(path) as figure:
            assert figure.width > 800
            assert len(figure.convert("RGB").getcolors(1 << 24) or []) > 10


def test_every_tag_is_closed_and_every_link_has_its_target(page):
    assert page.open == []
    identifiers = page.identifiers()
    assert len(identifiers) == len(set(identifiers))
    for attributes in page.all("a") + page.all("use"):
        assert attributes["href"].removeprefix("#") in identifiers
    for _, attributes in page.elements:
        for name in ("aria-labelledby",):
            assert attributes.get(name, identifiers[0]) in identifiers


def test_nothing_comes_from_the_network(page, html):
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, name)
    assert not page.all("script")
    assert not re.search(r"url\(|@import", html)
    assert "default-src 'none'" in html


def test_what_people_wrote_is_text(page, html, odd):
    assert odd.script in page.text
    assert '"quoted" & <b>bold</b>' in page.text
    assert "torn<1>" in page.text
    assert "<script" not in html


def test_captions_of_any_script_choose_their_own_direction(page, odd):
    assert odd.arabic in page.text and odd.chinese in page.text
    assert all(attributes.get("dir") == "auto" for attributes in page.all("blockquote"))


def test_pictures_decode_and_are_described(page):
    pictures = page.all("img")
    assert len(pictures) > 20
    for attributes in pictures:
        assert len(attributes["alt"]) > 5
        kind, _, content = attributes["src"].partition(";base64,")
        data = base64.b64decode(content, validate=True)
        if kind == "data:image/jpeg":
            with Image.open(io.BytesIO(data)) as thumbnail:
                assert max(thumbnail.size) == 224
                assert thumbnail.size == (224, 134)  # 500 x 300, its shape kept
        else:
            assert kind == "data:image/svg+xml" and b"<svg" in data


def queries(result, direction):
    return [query for kind in ("spread", "worst") for query in result["examples"][direction][kind]]


def test_both_directions_have_their_sheet_and_their_failures(page, result):
    headings = [text.strip() for text in re.findall(r"(?:Words → images|Image → words)", page.text)]
    assert headings == ["Words → images", "Image → words"] * 2
    for query in queries(result, "image_to_text")[5:12]:
        assert f"first right caption at rank {query['rank']:,}" in " ".join(page.text.split())
        assert all(hit["caption"] in page.text for hit in query["hits"])


def test_an_image_that_cannot_be_fetched_leaves_its_id(page, result):
    hits = {hit["id"] for query in queries(result, "text_to_image") for hit in query["hits"]}
    assert {"id_3", "id_4"} & hits
    assert "no picture" in page.text
    assert "id_3" in page.text or "id_4" in page.text


def test_right_and_wrong_are_told_in_words_and_shapes(page, result):
    shown = [hit for direction in result["examples"] for query in queries(result, direction) for hit in query["hits"]]
    marks = [attributes["href"] for attributes in page.all("use")]
    assert marks.count("#tick") == sum(hit["correct"] for hit in shown)
    assert marks.count("#cross") == sum(not hit["correct"] for hit in shown)
    assert len(re.findall(r"\d\. right ", page.text)) == marks.count("#tick")
    assert len(re.findall(r"\d\. wrong ", page.text)) == marks.count("#cross")


def test_tables_have_captions_or_headers_with_scope(page):
    assert len(page.all("table")) >= 6
    assert all(attributes.get("scope") in ("col", "row", "colgroup") for attributes in page.all("th"))


def test_numbers_are_the_results_with_one_decimal(page, result):
    standard, tolerant = result["retrieval"]["standard"], result["retrieval"]["duplicate_tolerant"]
    for scores in (standard, standard["chance"], standard["floor"]["closed_form"], tolerant):
        for side in ("image_to_text", "text_to_image"):
            for name in ("r1", "r5", "r10"):
                assert f"{scores[side][name]:.1f}" in page.text
    low, high = standard["interval"]["text_to_image"]["r1"]
    assert f"{low:.1f}\u00a0to\u00a0{high:.1f}" in page.text
    assert f"{standard['mean_recall']:.1f}\u00a0%" in page.text
    assert "81.2\u00a0%" in page.text and "33.3" in page.text


def test_audit_protocol_and_model_are_there(page):
    for part in (
        "same caption",
        "id_1 (train) and id_2 (test): text",
        "leak: 4",
        "torn.jpg",
        "scored split: truncated captions",
        "ab" * 32,
        "Apache-2.0",
        "vlcore align 'a b.jsonl'",
    ):
        assert part in page.text


@pytest.mark.parametrize(
    "part", ["result", "candidates", "curves", "ranks", "data", "audit", "model", "image_of"], ids=str
)
def test_missing_parts_are_left_out(report_data, part, read_page):
    empty = getattr(ReportData(title=""), part)
    page = read_page(render_report(replace(report_data, **{part: empty})))
    assert page.open == []
    gone = {"result": "scores", "audit": None, "model": "model"}.get(part)
    assert gone is None or gone not in page.identifiers()


def test_a_title_alone_makes_a_page(tmp_path, read_page):
    written = write_report(tmp_path / "report.html", ReportData(title="Empty"))
    assert written == [tmp_path / "report.html"]
    page = read_page(written[0].read_text(encoding="utf-8"))
    assert page.open == [] and not page.all("section") and not page.all("img")


def test_result_without_captions_shows_zero_shot_alone(report_data, result, read_page):
    only = {**result, "retrieval": None, "examples": {}}
    page = read_page(render_report(replace(report_data, result=only, ranks={})))
    assert "zero-shot" in page.identifiers() and "scores" not in page.identifiers()
    assert "names the right one for 81.2\u00a0%" in page.text


def test_equal_input_gives_equal_bytes(html, report_data):
    assert render_report(report_data) == html


def test_pyplot_and_the_global_backend_are_not_touched(report_data):
    import matplotlib

    # Looking at the backend would choose one.
    def settings():
        return {name: value for name, value in matplotlib.rcParams.copy().items() if name != "backend"}

    before = settings()
    render_report(report_data)
    assert settings() == before


def test_template_and_style_are_in_the_wheel(tmp_path):
    """Hatch includes them because they lie in the package; `.gitignore` must not hide them."""
    builder = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling")
    root = Path(__file__).resolve().parents[3]
    wheel = next(builder.WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        assert {"vlcore/report/report.html.j2", "vlcore/report/report.css"} <= set(archive.namelist())
