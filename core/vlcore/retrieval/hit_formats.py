"""Found images as JSON, CSV, or a page to look at."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from vlcore.data.decode import decode_image
from vlcore.errors import ImageDecodeError
from vlcore.retrieval.hit import Hit

THUMBNAIL = 240  # pixels of the long side

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ query }}</title>
<style>
  body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem; color: #1b1f24; background: #fff; }
  h1 { font-size: 1.3rem; margin: 0 0 .2rem; }
  p { margin: 0 0 1.2rem; color: #57606a; }
  ol { list-style: none; padding: 0; display: grid; gap: 1rem;
       grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); }
  li { border: 1px solid #d0d7de; border-radius: 8px; overflow: hidden; }
  figure { margin: 0; height: 200px; background: #eef1f4; display: grid; place-items: center; color: #57606a; }
  figure img { max-width: 100%; max-height: 200px; display: block; }
  div { padding: .6rem .8rem; overflow-wrap: anywhere; }
  small { color: #57606a; display: block; }
</style>
<h1>{{ query }}</h1>
<p>{{ hits | length }} images{% if where %} where {{ where }}{% endif %}</p>
<ol>
{%- for hit in hits %}
  <li>
    <figure>{% if hit.thumbnail %}<img src="{{ hit.thumbnail }}" alt="{{ hit.id }}">{% else %}{{ hit.problem }}{% endif %}</figure>
    <div><b>{{ loop.index }}. {{ hit.id }}</b> {{ "%.3f" | format(hit.score) }}
    {%- for line in hit.lines %}<small>{{ line }}</small>{% endfor %}</div>
  </li>
{%- endfor %}
</ol>
</html>
"""  # noqa: E501


def plain(hit: Hit, rank: int) -> dict[str, Any]:
    """A hit as plain values."""
    return {
        "rank": rank,
        "id": hit.id,
        "score": round(hit.score, 6),
        "image": str(hit.image.path),
        "member": hit.image.member,
        "texts": hit.texts,
        **{name: value for name, value in hit.columns.items() if value is not None},
    }


def as_json(hits: Sequence[Hit]) -> str:
    """A JSON list, best first."""
    rows = [plain(hit, rank) for rank, hit in enumerate(hits, start=1)]
    return json.dumps(rows, indent=2, ensure_ascii=False, default=str) + "\n"


def as_csv(hits: Sequence[Hit]) -> str:
    """Comma-separated values with a header; lists are JSON."""
    names = ["rank", "id", "score", "image", "member", "texts", *(hits[0].columns if hits else ())]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    for rank, hit in enumerate(hits, start=1):
        row = plain(hit, rank)
        writer.writerow(
            {
                name: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
                for name, value in row.items()
            }
        )
    return buffer.getvalue()


def as_html(hits: Sequence[Hit], query: str, where: str | None = None) -> str:
    """One page with thumbnails inside, no network; whatever ids and texts hold is shown as text."""
    from jinja2 import Environment

    cards = []
    for hit in hits:
        thumbnail, problem = _thumbnail(hit)
        lines = [*hit.texts[:2], *(f"{name}: {value}" for name, value in hit.columns.items() if value is not None)]
        cards.append({"id": hit.id, "score": hit.score, "thumbnail": thumbnail, "problem": problem, "lines": lines})
    return Environment(autoescape=True).from_string(PAGE).render(query=query, where=where, hits=cards)


def _thumbnail(hit: Hit) -> tuple[str | None, str]:
    from PIL import Image

    try:
        image = Image.fromarray(decode_image(hit.image, sample_id=hit.id))
    except ImageDecodeError as error:
        return None, f"not readable: {error.reason}"
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode(), ""
