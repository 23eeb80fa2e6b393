"""Reader of captions in several languages: a data set in Karpathy's form, untouched, with side files of translations.

Layout: `captions.<lang>.jsonl` beside the JSON file, rows
`{"dataset", "sentid", "lang", "text", "kind": "human"|"mt", "mt_model", "mt_revision", "src_sha1"}`. A row belongs to
the sentence of that `sentid`, and `src_sha1` says which words were translated (see `caption_sha1`): a translation of
other words than stand there now is refused. Languages are BCP-47 tags, such as `pt` or `zh-Hans`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, json_lines
from vlcore.data.record import Record, Text
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore_remote_sensing.captions.translation_groups import GROUPS
from vlcore_remote_sensing.readers.json_file import read_json
from vlcore_remote_sensing.readers.karpathy import read_karpathy
from vlcore_remote_sensing.readers.left_out import report_left_out

KINDS = {"human": "caption", "mt": "machine_translation"}
"""Kind of the text by kind of the row: what people wrote or checked is told apart from what a machine translated."""

_TAG = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
_Sentences = dict[int, tuple[str, str]]


def read_captions_side_files(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read a captioned data set with every translation that lies beside it.

    Args:
        path: the JSON file, such as `dataset_rsicd.json`.
        image_root: as `read_karpathy`.

    Returns:
        Its records with the translations after the source captions, by language and sentence, of kind `caption` or
        `machine_translation`; `meta["translation_groups"]` holds the `sentid` of each text, equal for translations of
        one sentence. Rows of other data sets are left out, and a warning says how many.

    Raises:
        ConfigurationError: if the file does not exist, or there are no side files.
        ManifestError: listing every bad image, or every bad line of a side file.
    """
    path = Path(path)
    records = read_karpathy(path, image_root)
    side_files = sorted(path.parent.glob("captions.*.jsonl"))
    if not side_files:
        raise ConfigurationError(
            f"There is no captions.<lang>.jsonl beside {path}. Read it as remote_sensing/karpathy."
        )
    source = read_json(path)
    name = source.get("dataset")
    if not isinstance(name, str):
        message = f"'dataset' is {name!r}. Write the name that the side files give it."
        raise ManifestError(path, [Problem("the file", message)])
    sentences = _sentences(path, source["images"], records)
    groups: dict[str, list[int]] = defaultdict(list)
    for identifier, (image, _) in sentences.items():
        groups[image].append(identifier)
    translations: dict[str, list[Text]] = defaultdict(list)
    for side_file in side_files:
        for identifier, text in _translations(side_file, name, sentences).items():
            image, _ = sentences[identifier]
            translations[image].append(text)
            groups[image].append(identifier)
    return [
        replace(
            record,
            texts=(*record.texts, *translations[record.id]),
            meta={**record.meta, GROUPS: groups[record.id]},
        )
        for record in records
    ]


def caption_sha1(caption: str) -> str:
    """SHA-1 of a caption's UTF-8 bytes, its words joined by single spaces, as 40 hexadecimal digits."""
    return hashlib.sha1(" ".join(caption.split()).encode(), usedforsecurity=False).hexdigest()


def _sentences(path: Path, images: list[Any], records: list[Record]) -> _Sentences:
    """Image and caption by `sentid`."""
    found: _Sentences = {}
    problems = []
    for number, (image, record) in enumerate(zip(images, records, strict=True), start=1):
        for sentence, text in zip(image["sentences"], record.texts, strict=True):
            identifier = sentence.get("sentid")
            if not isinstance(identifier, int) or identifier in found:
                state = "comes twice" if identifier in found else "is no whole number"
                message = f"the 'sentid' {identifier!r} {state}. Restore the file of the data set."
                problems.append(Problem(f"image {number} ({record.id})", message))
            else:
                found[identifier] = (record.id, text.text)
    if problems:
        raise ManifestError(path, problems)
    return found


def _translations(side_file: Path, dataset: str, sentences: _Sentences) -> dict[int, Text]:
    """Text of every row by its sentence, in the order of the sentences."""
    lang = side_file.name.split(".")[1]
    found: dict[int, Text] = {}
    problems = []
    left_out: Counter[str] = Counter()
    for place, values in json_lines(side_file):
        try:
            if isinstance(values, RowError):
                raise values
            if not isinstance(values, dict):
                raise RowError(f"is {values!r:.80}. It must be a JSON object.")
            row = Row(values, side_file.parent)
            if row.get("dataset", str) != dataset:
                left_out["rows of other data sets"] += 1
                continue
            identifier = row.get("sentid", int)
            if identifier in found:
                raise RowError(f"the sentence {identifier} has a translation already. Remove one of them.")
            found[identifier] = _translation(row, identifier, lang, sentences)
        except RowError as error:
            problems.append(Problem(place, str(error)))
    if problems:
        raise ManifestError(side_file, problems)
    report_left_out(side_file, left_out)
    return {identifier: found[identifier] for identifier in sentences if identifier in found}


def _translation(row: Row, identifier: int, lang: str, sentences: _Sentences) -> Text:
    tag, kind = row.get("lang", str), row.get("kind", str)
    if tag != lang or not _TAG.fullmatch(tag):
        raise RowError(f"'lang' is {tag!r} in a file of {lang!r}. Both must be one BCP-47 tag, such as pt or zh-Hans.")
    if kind not in KINDS:
        raise RowError(f"'kind' is {kind!r}. It must be 'human' or 'mt'.")
    if kind == "mt":
        row.get("mt_model", str)
    if identifier not in sentences:
        raise RowError(f"there is no sentence {identifier}. Restore the source, or remove the line.")
    image, source = sentences[identifier]
    sha1 = row.get("src_sha1", str)
    if sha1 != caption_sha1(source):
        raise RowError(
            f"translates another text than sentence {identifier} of {image!r} has now: 'src_sha1' is {sha1:.40}, and "
            f"that of {source!r:.80} is {caption_sha1(source)}. Translate it again, or remove the line."
        )
    words = " ".join(row.get("text", str).split())
    if not words:
        raise RowError(f"the translation of sentence {identifier} is blank. Write it, or remove the line.")
    return Text(words, lang=tag, kind=KINDS[kind])
