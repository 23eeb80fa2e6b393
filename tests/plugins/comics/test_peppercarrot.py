"""The reader of comic pages, on a small tree in the true layout and on the real data."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vlcore.data.record import Text
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_comics.peppercarrot import LANGUAGES, read_peppercarrot


def words(order: int, text: str, kind: str = "balloon", **langs: str) -> dict[str, Any]:
    """One text of a page."""
    return {
        "svg_id": f"s{order}",
        "text": text,
        "box": [0, 0, 1, 1],
        "panel": 0,
        "kind": kind,
        "langs": langs,
        "order": order,
    }


def page(name: str, *texts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One line of the data set."""
    return {
        "page": name,
        "episode": 1,
        "number": 2,
        "panels": [[0, 0, 1, 1], [1, 1, 2, 2]],
        "texts": list(texts),
        "split": "train",
        "images": {"en": f"pages_en/{name}.jpg"},
        **changes,
    }


def tree(folder: Path, *rows: dict[str, Any]) -> Path:
    """Write a data set."""
    for row in rows:
        for image in row["images"].values() if isinstance(row["images"], dict) else ():
            path = folder / str(image)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"jpeg")
    path = folder / "pages.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


TEXTS = (
    words(2, "Who is there?", fr="Qui est là ?", ja="だれ"),
    words(0, "Hello,  Carrot", fr="Bonjour Carrot", cn="你好"),
    words(1, "SPLASH", kind="free", fr="PLOUF"),
)


def test_a_page_becomes_a_record_grouped_by_episode_in_reading_order(tmp_path: Path) -> None:
    (record,) = read_peppercarrot(tree(tmp_path, page("E01P02", *TEXTS)))
    assert record.id == "E01P02"
    assert record.image.path == tmp_path / "pages_en" / "E01P02.jpg"
    assert record.texts == (
        Text("Hello, Carrot Who is there?", lang="en", kind="dialogue"),
        Text("SPLASH", lang="en", kind="sound"),
    )
    assert (record.group, record.split) == ("episode 1", "train")
    assert record.meta == {"number": 2, "panels": 2, "page_lang": "en"}


def test_texts_come_in_the_language_asked_for(tmp_path: Path) -> None:
    path = tree(tmp_path, page("E01P02", *TEXTS))
    (french,) = read_peppercarrot(path, lang="fr")
    assert [text.text for text in french.texts] == ["Bonjour Carrot Qui est là ?", "PLOUF"]
    (chinese,) = read_peppercarrot(path, lang="zh")
    assert chinese.texts == (Text("你好", lang="zh", kind="dialogue"),)
    (czech,) = read_peppercarrot(path, lang="cs")
    assert czech.texts == ()


def test_pages_without_an_image_in_the_language_are_left_out(tmp_path: Path) -> None:
    both = {"en": "pages_en/E06P01.jpg", "ja": "pages_ja/E06P01.jpg"}
    path = tree(tmp_path, page("E01P01", *TEXTS), page("E06P01", *TEXTS, images=both))
    (record,) = read_peppercarrot(path, lang="ja", page_lang="ja")
    assert record.image.path == tmp_path / "pages_ja" / "E06P01.jpg"
    assert record.meta["page_lang"] == "ja"
    assert [text.text for text in record.texts] == ["だれ"]


def test_an_unknown_language_is_told(tmp_path: Path) -> None:
    path = tree(tmp_path, page("E01P01"))
    for argument in ("lang", "page_lang"):
        with pytest.raises(ConfigurationError, match="no language 'xx'; choose one of en, fr"):
            read_peppercarrot(path, **{argument: "xx"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, "line 2: 'images' is missing"),
        ({"images": ["a.jpg"]}, "line 2: 'images' is ['a.jpg']. It must be a table."),
        ({"images": {"en": 7}}, "line 2: the image 7 of language 'en' must be a path."),
        ({"texts": ["words"]}, "must be a table with 'order'"),
        ({"texts": [{**words(0, "a"), "text": 5}]}, "line 2: the text 5 of language 'en' must be text."),
        ({"episode": None}, "line 2: 'episode' is missing"),
        ({"page": "E01P01"}, "the id 'E01P01' is also on line 1"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tree(tmp_path, page("E01P01"), page("E01P02", **changes))
    with pytest.raises(ManifestError) as caught:
        read_peppercarrot(path)
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_the_real_data(data_root: Path) -> None:
    path = data_root / "comics" / "peppercarrot" / "pages.jsonl"
    records = read_peppercarrot(path)
    assert Counter(record.split for record in records) == {"train": 87, "test": 35}
    assert len({record.group for record in records}) == 20
    assert records[0].texts[0].text == "...and the last touch ...mmm probably not strong enough"
    groups: dict[str | None, set[str | None]] = {}
    for record in records:
        groups.setdefault(record.group, set()).add(record.split)
    assert all(len(splits) == 1 for splits in groups.values()), "an episode is in one split"
    assert len(read_peppercarrot(path, lang="ja", page_lang="ja")) == 15
    for lang in LANGUAGES:
        assert any(record.texts for record in read_peppercarrot(path, lang=lang)), lang
