"""Captions in every form that a manifest may give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vlcore.data.reader import RowError
from vlcore.data.record import Text

FORMS = (
    "a text, a list of texts, a list of {'text': …, 'lang': …, 'kind': …}, or a table from language to texts, such as "
    "{'en': ['a dog', 'a brown dog']}"
)


def parse_texts(value: Any, key: str, lang: str) -> Iterator[Text]:
    """Yield the texts of one row.

    Args:
        value: as read: one of `FORMS`; nulls are absent.
        key: where it stood, for messages.
        lang: language of texts that name none.

    Raises:
        RowError: if a text is empty or the value has another form.
    """
    if value is None:
        return
    if isinstance(value, str):
        yield _text(value, key, lang)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield _item(item, f"{key}[{position}]", lang)
    elif isinstance(value, Mapping) and isinstance(value.get("text"), str):
        yield _item(value, key, lang)
    elif isinstance(value, Mapping):
        for language, texts in value.items():
            if not language.strip():
                raise RowError(f"{key!r} has an empty language. Name it, or use 'und' where it is not known.")
            yield from parse_texts(texts, f"{key}.{language}", language)
    else:
        raise RowError(f"{key!r} is {value!r:.80}. It must be {FORMS}.")


def language_matches(tag: str, wanted: str) -> bool:
    """Whether a text of language `tag` is asked for: `en` wants `en` and `en-GB`; `und` is always wanted."""
    tag, wanted = tag.casefold(), wanted.casefold()
    return tag in ("und", wanted) or tag.startswith(f"{wanted}-")


def _item(item: Any, place: str, lang: str) -> Text:
    if isinstance(item, str):
        return _text(item, place, lang)
    if isinstance(item, Mapping):
        if unknown := sorted(set(item) - {"text", "lang", "kind"}):
            raise RowError(f"{place!r} has the unknown keys {unknown}. A text has text, lang and kind.")
        words, own, kind = item.get("text"), item.get("lang"), item.get("kind")
        if isinstance(words, str) and isinstance(own, str | None) and isinstance(kind, str | None):
            return _text(words, place, own or lang, kind or "caption")
    raise RowError(f"{place!r} is {item!r:.80}. It must be a text, or {{'text': …, 'lang': …, 'kind': …}}.")


def _text(words: str, place: str, lang: str, kind: str = "caption") -> Text:
    if not words.strip():
        raise RowError(f"{place!r} is an empty caption. Write one, or leave it out: an image may have no text.")
    if "\0" in words:
        raise RowError(f"{place!r} holds a NUL character: {words!r:.80}. Remove it.")
    return Text(words, lang, kind)
