"""Reader of Pepper&Carrot: comic pages with the words of their balloons in several languages.

Layout: `pages.jsonl` with `page`, `episode`, `number`, `split`, `images` (language -> path) and `texts`, each with
`text` (English), `langs` (language -> translation), `kind` (`balloon` or `free`, such as sound words) and `order`.

Source: D. Revoy, Pepper&Carrot, CC BY 4.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records, json_lines
from vlcore.data.record import Record, Text
from vlcore.errors import ConfigurationError

TAGS = {"cn": "zh", "kr": "ko"}
"""Where the source's language codes differ from BCP-47."""

CODES = {tag: code for code, tag in TAGS.items()}
LANGUAGES = ("en", "fr", "de", "es", "ja", "ru", "zh", "it", "pl", "pt", "nl", "cs", "ko")


def read_peppercarrot(
    path: Path | str, image_root: Path | None = None, lang: str = "en", page_lang: str = "en"
) -> list[Record]:
    """Read pages; an episode's pages share figures and places, so the episode is the group.

    Args:
        path: `pages.jsonl`.
        image_root: folder that image paths start from; the file's own if left out.
        lang: language of the texts, one of `LANGUAGES`.
        page_lang: language that the page images are lettered in; pages without such an image are left out.

    Returns:
        Records with the balloons in reading order as one text of kind `dialogue` and the sound words as another of
        kind `sound`; pages without words in that language have no text.

    Raises:
        ConfigurationError: if the file does not exist, or for another language.
        ManifestError: listing every bad line.
    """
    for value in (lang, page_lang):
        if value not in LANGUAGES:
            raise ConfigurationError(f"Pepper&Carrot has no language {value!r}; choose one of {', '.join(LANGUAGES)}.")
    path = Path(path)
    folder = image_root or path.parent
    code = CODES.get(page_lang, page_lang)
    rows = (
        (place, values)
        for place, values in json_lines(path)
        # A row without a table of images goes on, to be reported as such.
        if not (isinstance(values, dict) and isinstance(values.get("images"), dict)) or code in values["images"]
    )
    return collect_records(path, rows, folder, lambda row: _record(row, lang, code))


def _record(row: Row, lang: str, code: str) -> Record:
    image = row.get("images", dict)[code]
    if not isinstance(image, str):
        raise RowError(f"the image {image!r:.80} of language {code!r} must be a path.")
    spoken: dict[str, list[tuple[int, str]]] = {"dialogue": [], "sound": []}
    for entry in row.get("texts", list):
        order, words, kind = _words(entry, CODES.get(lang, lang))
        if words:
            spoken[kind].append((order, words))
    return Record(
        id=row.get("page", str),
        image=row.image(image),
        texts=tuple(
            Text(" ".join(words for _, words in sorted(parts)), lang=lang, kind=kind)
            for kind, parts in spoken.items()
            if parts
        ),
        group=f"episode {row.get('episode', int)}",
        split=row.get("split", str, None),
        meta={
            "number": row.get("number", int),
            "panels": len(row.get("panels", list, [])),
            "page_lang": TAGS.get(code, code),
        },
    )


def _words(entry: Any, code: str) -> tuple[int, str, str]:
    """Place in the reading order, words in a language ("" if not translated) and kind of a text."""
    if not isinstance(entry, dict) or not isinstance(entry.get("order"), int):
        raise RowError(f"the text {entry!r:.80} must be a table with 'order' as a whole number.")
    words = entry.get("text") if code == "en" else (entry.get("langs") or {}).get(code)
    if words is not None and not isinstance(words, str):
        raise RowError(f"the text {words!r:.80} of language {code!r} must be text.")
    return entry["order"], " ".join((words or "").split()), "dialogue" if entry.get("kind") == "balloon" else "sound"
