"""`vlcore evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vlcore.errors import ConfigurationError

if TYPE_CHECKING:
    from vlcore.data.manifest import Manifest
    from vlcore.retrieval.evaluate import EvaluationResult
    from vlcore.retrieval.model import Model


def evaluate(
    model: Path,
    manifest: Path,
    output: Path = Path("evaluation.json"),
    split: str = "test",
    lang: str | None = None,
    image_root: Path | None = None,
    reader: str | None = None,
    prompts: str = "photo",
    labels_key: str = "label",
    floor: Path | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    batch_size: int = 64,
    on_bad_image: Literal["raise", "skip", "replace"] = "raise",
    device: str | None = None,
    report: Path | None = None,
    rerank: Path | None = None,
    rerank_top: int = 16,
    rerank_weight: float = 0.02,
) -> None:
    """Score a model: retrieval both ways and zero-shot classification, with intervals, chance and floor.

    Examples:
        vlcore evaluate runs/model captions.jsonl -o scores.json
        vlcore evaluate runs/model captions.jsonl --split all --lang de --prompts aerial
        vlcore evaluate runs/model labelled.csv -o scores.json --report report.html
        vlcore evaluate runs/model captions.jsonl --rerank runs/albef_tiny/model

    Args:
        model: model directory or hub id.
        manifest: with texts, labels, or both.
        output: JSON file with scores, protocol and examples.
        split: which records; `all` for every record.
        lang: keep the captions of this language only.
        image_root: folder that the manifest's image paths start from; the manifest's own if left out.
        reader: a plugin's reader for a layout of its own, such as medical/vqa_rad, its options behind a colon
            (medical/vqa_rad:protocol=strict); see `vlcore plugins`.
        prompts: sentences around class names: plain, photo, aerial, or a plugin's.
        labels_key: label to classify by.
        floor: result JSON of a simpler model on the same split, shown beside the scores.
        bootstrap: resamples of the 95 % intervals.
        seed: of the bootstrap.
        batch_size: images per forward pass.
        on_bad_image: stop, leave the image out (counted), or put a grey one in its place (counted).
        device: cuda, mps or cpu; chosen if left out.
        report: HTML page to write as well: scores, queries with their hits, failures, confusion of classes.
        rerank: model directory of a fusion model that puts the first items of every query in order; scored beside.
        rerank_top: how many items of a query.
        rerank_weight: of its log-odds beside the cosine; chosen on validation data, never on this split.
    """
    from vlcore.data.manifest import open_manifest
    from vlcore.retrieval.evaluate import evaluate as evaluate_model
    from vlcore.retrieval.model import load
    from vlcore.retrieval.rerank import Reranker

    scored = load(model, device)
    source = open_manifest(manifest, image_root=image_root, reader=reader, lang=lang)
    result = evaluate_model(
        scored,
        source,
        split=None if split == "all" else split,
        lang=lang,
        prompts=prompts,
        labels_key=labels_key,
        bootstrap=bootstrap,
        seed=seed,
        floors=None if floor is None else {floor.stem: _read_floor(floor)},
        batch_size=batch_size,
        on_bad_image=on_bad_image,
        reranker=None if rerank is None else Reranker.load(rerank, device),
        rerank_top=rerank_top,
        rerank_weight=rerank_weight,
        progress=True,
    )
    result.save(output)
    print_scores(result)
    print(f"Scores, protocol and examples: {output}")
    if report is not None:
        _write_report(report, result, source, scored)
        print(f"Report: {report}")


def _write_report(path: Path, result: EvaluationResult, source: Manifest, model: Model) -> None:
    from vlcore.report.data import ReportData
    from vlcore.report.record_images import fetch_images
    from vlcore.report.write import write_report

    card = None if model.card is None else model.card.to_dict()
    data = ReportData(
        title=f"{'Model' if card is None else card['name']} on {source.path.name}",
        result=result.to_dict(),
        model=card or {},
        image_of=fetch_images(source, result.examples),
    )
    write_report(path, data)


def print_scores(result: EvaluationResult) -> None:
    """Print scores with intervals, chance and floors as tables on standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for variant, scores in (result.retrieval or {}).items():
        # What a second stage makes of the same search is a column of its own, as floors are.
        floors: dict[str, Any] = scores["floor"] | ({"reranked": scores["reranked"]} if "reranked" in scores else {})
        table = Table(title=f"Retrieval, {variant.replace('_', ' ')} (per cent)", title_justify="left")
        for name in ("", "score", "95 % interval", "chance", *floors):
            table.add_column(name, justify="left" if not name else "right")
        for label, *path in _ROWS:
            low, high = _at(scores["interval"], path)
            values = [f"{_at(part, path):.1f}" for part in (scores, scores["chance"], *floors.values())]
            table.add_row(label, values[0], f"{low:.1f} to {high:.1f}", *values[1:])
        console.print(table)
    if result.zero_shot is not None:
        scores = result.zero_shot
        title = f"Zero-shot, {scores['classes']} labels, {scores['samples']} images (per cent)"
        table = Table("", "score", "95 % interval", "chance", "majority", title=title, title_justify="left")
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "top5", "ece"):
            ends = scores["interval"].get(name)
            floor = [scores["floor"][kind].get(name) for kind in ("chance", "majority")]
            cells = ["" if value is None else f"{value:.1f}" for value in (scores[name], *floor)]
            interval = "" if ends is None else f"{ends[0]:.1f} to {ends[1]:.1f}"
            table.add_row(name.replace("_", " "), cells[0], interval, *cells[1:])
        console.print(table)
    protocol = result.protocol
    console.print(
        f"{protocol['images']} images, {protocol['captions']} captions ({protocol['truncated_captions']} truncated), "
        f"{protocol['skipped_images']} images skipped, {protocol['replaced_images']} replaced",
        highlight=False,
    )


_ROWS = [
    (f"{side.replace('_', ' ')} R@{name[1:]}", side, name)
    for side in ("text_to_image", "image_to_text")
    for name in ("r1", "r5", "r10")
] + [("mean recall", "mean_recall")]


def _at(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key]
    return values


def _read_floor(path: Path) -> dict[str, Any]:
    try:
        retrieval = json.loads(path.read_text(encoding="utf-8"))["retrieval"]
        return dict(retrieval)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no result of `vlcore evaluate` with retrieval scores: {error}") from error
