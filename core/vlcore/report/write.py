"""Writes the page and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import vlcore
from vlcore.files import atomic_write, write_text
from vlcore.report import figures
from vlcore.report.data import ReportData
from vlcore.report.facts import audit_rows, fact_rows, labels_of, model_rows, protocol_rows, scored_rows
from vlcore.report.scores import DIRECTIONS, classification_rows, headline, in_words, number, per_cent, score_table
from vlcore.report.thumbnails import Thumbnails, data_uri


def write_report(path: Path | str, data: ReportData) -> list[Path]:
    """Write one HTML file that needs no network and no other file, and PNG figures beside it.

    Args:
        path: of the page, such as `runs/demo/report.html`; figures become `report_recall.png` and so on.
        data: what to show; parts that are empty are left out.

    Returns:
        The page, then the figures that were written.
    """
    path = Path(path)
    drawings = _drawings(data)
    page = render_report(data, drawings)
    written = [path]
    for name, (draw, _) in drawings.items():
        figure = path.with_name(f"{path.stem}_{name}.png")
        with atomic_write(figure) as part:
            part.write_bytes(figures.png(draw))
        written.append(figure)
    # The page comes last: whoever finds it finds its figures too.
    write_text(path, page)
    return written


def render_report(data: ReportData, drawings: dict[str, tuple[figures.Draw, str]] | None = None) -> str:
    """The page as HTML; whatever ids, captions and names hold is shown as text."""
    result = data.result or {}
    protocol = result.get("protocol") or {}
    retrieval, zero_shot = result.get("retrieval"), result.get("zero_shot")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "per_cent": per_cent}
    template = environment.from_string(_resource("report.html.j2"))
    return template.render(
        title=data.title,
        style=Markup(_resource("report.css")),
        version=vlcore.__version__,
        date=str(protocol.get("date", ""))[:10],
        words=in_words(result),
        tiles=headline(result),
        table=score_table(retrieval) if retrieval else None,
        galleries={side: retrieval["standard"][side].get("gallery") for side in DIRECTIONS} if retrieval else {},
        candidates=data.candidates,
        figures={name: _picture(*drawing) for name, drawing in (drawings or _drawings(data)).items()},
        shown=partial(_shown, result.get("examples") or {}),
        thumbnail=Thumbnails(data.image_of),
        zero_shot=classification_rows(zero_shot) if zero_shot else None,
        prompts=(protocol.get("zero_shot") or {}).get("templates", []),
        data_rows=[*fact_rows(data.data, skip=("audit",)), *scored_rows(protocol)],
        audit=audit_rows(data.audit) if data.audit else None,
        bad_images=protocol.get("bad_images") or [],
        protocol_rows=protocol_rows(protocol),
        command=data.command or protocol.get("command", ""),
        model_rows=model_rows(data.model),
    )


def _shown(examples: Mapping[str, Any], kind: str, direction: str | None = None) -> list[Any]:
    """Examples of a kind, of one direction or of both."""
    sides = DIRECTIONS if direction is None else (direction,)
    return [query for side in sides for query in (examples.get(side) or {}).get(kind, [])]


def _drawings(data: ReportData) -> dict[str, tuple[figures.Draw, str]]:
    """By name, each figure with its description for those who cannot see it."""
    result = data.result or {}
    retrieval, zero_shot = result.get("retrieval"), result.get("zero_shot") or {}
    drawings: dict[str, tuple[figures.Draw, str]] = {}
    if retrieval:
        drawings["recall"] = (
            figures.recall_figure(retrieval),
            f"Bar chart of recall at 1, 5 and 10 in both directions; the table below holds the same numbers. "
            f"Mean recall {per_cent(retrieval['standard']['mean_recall'])}.",
        )
    ranks = {side: data.ranks[side] for side in DIRECTIONS if len(data.ranks.get(side, ()))}
    if ranks:
        drawings["ranks"] = (figures.rank_figure(ranks), "Histogram of the rank at which the right item was found.")
    curves = {name: points for name, points in data.curves.items() if len(points)}
    if curves:
        ends = "; ".join(f"{name} ends at {points[-1][1]:.3g}" for name, points in curves.items())
        drawings["curves"] = (figures.curve_figure(curves), f"Line chart of the training: {ends}.")
    if zero_shot.get("confusion"):
        drawings["confusion"] = (
            figures.confusion_figure(zero_shot["confusion"], labels_of(zero_shot)),
            "Confusion matrix of the zero-shot classes; rows are true, columns predicted.",
        )
    return drawings


def _picture(draw: figures.Draw, description: str) -> dict[str, Any]:
    """Both themes of a figure, for `prefers-color-scheme`."""
    return {
        "light": data_uri(figures.svg(draw, figures.LIGHT), "image/svg+xml"),
        "dark": data_uri(figures.svg(draw, figures.DARK), "image/svg+xml"),
        "alt": description,
    }


def _resource(name: str) -> str:
    return resources.files("vlcore.report").joinpath(name).read_text(encoding="utf-8")
