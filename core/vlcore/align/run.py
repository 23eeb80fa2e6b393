"""One command from a manifest of captioned images to a model directory with its report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vlcore.align.candidates import Candidate, held_out_recall
from vlcore.align.closed_form import CLOSED_FORM, UNTUNED, choose_closed_form, closed_form_heads, tries
from vlcore.align.data import TEST, TRAIN, Towers, describe, encode_records, with_splits
from vlcore.align.features import PairedFeatures, group_folds
from vlcore.align.scores import Scored, score_test_split
from vlcore.align.temperature import fit_logit_scale
from vlcore.data.audit import audit_splits
from vlcore.data.decode import DecodeReport, OnBadImage
from vlcore.data.progress import track
from vlcore.data.record import Record
from vlcore.encoders.base import ImageEncoder, TextEncoder
from vlcore.errors import ConfigurationError
from vlcore.files import write_text
from vlcore.hub.model_card import ModelCard, command_line
from vlcore.hub.model_directory import save_model_directory
from vlcore.models.dual_encoder import DualEncoder
from vlcore.report.data import ReportData
from vlcore.report.record_images import fetch_images
from vlcore.report.write import write_report
from vlcore.retrieval.evaluate import EvaluationResult
from vlcore.retrieval.model import Model

if TYPE_CHECKING:
    from vlcore.data.manifest import Manifest

Method = Literal["auto", "closed_form", "learned"]
Curves = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Alignment:
    """What an alignment made.

    Attributes:
        model: ready to use.
        folder: run folder; the model directory is `folder / "model"`.
        candidates: everything that was tried, the chosen one first.
        result: scores on the test split, or None where there is none.
        report: the HTML page.
        seconds: by stage.
    """

    model: Model
    folder: Path
    candidates: list[Candidate]
    result: EvaluationResult | None
    report: Path
    seconds: dict[str, float]


def align(
    manifest: Manifest,
    folder: Path,
    *,
    image_encoder: str = "starter/efficientnet_lite0",
    text_encoder: str = "starter/minilm_layers",
    method: Method = "auto",
    folds: int = 3,
    seed: int = 0,
    lang: str | None = None,
    prompts: str = "photo",
    labels_key: str = "label",
    cache: Path | None = None,
    batch_size: int = 64,
    on_bad_image: OnBadImage = "raise",
    device: str | None = None,
    bootstrap: int = 1000,
    title: str | None = None,
    progress: bool = True,
) -> Alignment:
    """Align two frozen towers on a manifest, choose on held-out training data, save, score once on the test split.

    Args:
        manifest: captioned images; without split names vlcore assigns 80 % train and 20 % test by group.
        folder: run folder to write: `model/`, `evaluation.json`, `report.html` and figures.
        image_encoder: name of the image tower.
        text_encoder: name of the text tower.
        method: try everything, or one kind of alignment only.
        folds: held-out parts of the training split that candidates are compared on.
        seed: of folds, heads and bootstrap.
        lang: language the manifest was opened with, for the protocol.
        prompts: prompt set for zero-shot classification, where records have labels.
        labels_key: label to classify by.
        cache: folder of cached features; `$VLCORE_CACHE` or `~/.cache/vlcore` if left out.
        batch_size: images per forward pass.
        on_bad_image: `raise`, or a policy that is counted in the report.
        device: chosen if left out.
        bootstrap: resamples of the 95 % intervals.
        title: of the report; the run folder's name if left out.
        progress: show bars on standard error.

    Raises:
        ConfigurationError: if there are too few captioned training images.
        ImageDecodeError: if an image is bad and `on_bad_image` is `raise`.
    """
    clock = _Clock()
    records, assigned = with_splits(list(manifest), seed)
    train_records = [record for record in records if record.split == TRAIN and record.texts]
    test_records = [record for record in records if record.split == TEST]
    _check_enough(train_records, folds, manifest.path)
    audit = audit_splits(records)
    clock.lap("reading and audit")

    towers = Towers.build(image_encoder, text_encoder, cache, device)
    report = DecodeReport()
    encode = {"batch_size": batch_size, "on_bad_image": on_bad_image, "report": report, "progress": progress}
    train = encode_records(train_records, towers, **encode)  # type: ignore[arg-type]
    test = encode_records(test_records, towers, **encode) if test_records else None  # type: ignore[arg-type]
    clock.lap("encoding")

    network, candidates, curves = _choose((towers.image, towers.text), train.features, method, folds, seed, progress)
    clock.lap("choosing")

    tried = [candidate.to_dict() for candidate in candidates]
    card = ModelCard(
        name=title or folder.resolve().name,
        command=command_line(),
        data={
            "manifest": manifest.path.name,
            **describe(records, assigned=assigned),
            "bad_images": report.summary(),
            "audit": audit.to_dict(),
        },
        training={"method": candidates[0].name, "tried": tried},
    ).with_towers(network)
    fingerprint = save_model_directory(folder / "model", network, card)
    model = Model(network, fingerprint, card=card, path=folder / "model", device=towers.encode_images.device)
    scored = Scored()
    if test is not None:
        scored = score_test_split(
            model,
            manifest,
            test,
            closed_form_heads(train.features, UNTUNED),
            report,
            lang=lang,
            prompts=prompts,
            labels_key=labels_key,
            on_bad_image=on_bad_image,
            bootstrap=bootstrap,
            seed=seed,
        )
        card = replace(card, **scored.for_card())
        # The card is outside the fingerprint: scores join it when they are known.
        write_text(folder / "model" / "README.md", card.render())
        scored.save(folder / "evaluation.json")
    clock.lap("evaluating")
    page, *_ = write_report(
        folder / "report.html",
        ReportData(
            title=card.name,
            command=card.command,
            result=None if scored.result is None else scored.result.to_dict(),
            candidates=tried,
            curves=curves,
            ranks=scored.ranks,
            data=card.data,
            audit=audit.to_dict(),
            model=card.to_dict(),
            image_of=fetch_images(test.records, scored.result.examples) if test is not None and scored.result else None,
        ),
    )
    clock.lap("reporting")
    return Alignment(model, folder, candidates, scored.result, page, clock.seconds)


def _choose(
    towers: tuple[ImageEncoder, TextEncoder],
    train: PairedFeatures,
    method: Method,
    folds: int,
    seed: int,
    progress: bool,
) -> tuple[DualEncoder, list[Candidate], Curves]:
    """The model fitted on all of the training split in the way that did best on a held-out part of it.

    One part compares the kinds of alignment; the closed form's settings are chosen on `folds` others, so that no
    kind is scored on what it was tuned on.
    """
    comparison, *rest = group_folds(train.groups, folds + 1, seed)
    kept, held_out = train.subset(comparison.kept), train.subset(comparison.held_out)
    candidates: list[Candidate] = []
    settings = UNTUNED
    if method in ("auto", "closed_form"):
        with track(tries(rest), "trying closed forms", progress) as advance:
            settings, candidate = choose_closed_form(train, rest, advance)
        score = held_out_recall(closed_form_heads(kept, settings), held_out)
        candidates.append(replace(candidate, scores=(score,)))
    if method in ("auto", "learned"):
        # Lightning takes seconds to import: only where it is needed.
        from vlcore.align.learned import try_learned_heads

        with track(1, "trying learned heads", progress) as advance:
            candidates.append(try_learned_heads(towers, kept, held_out, seed))
            advance(1)
    candidates.sort(key=lambda candidate: -candidate.mean)
    if candidates[0].name == CLOSED_FORM:
        # The temperature belongs to pairs the heads have not seen: fit it on the held-out part.
        logit_scale = fit_logit_scale(closed_form_heads(kept, settings), held_out)
        heads = closed_form_heads(train, settings)
        return DualEncoder(*towers, *heads, logit_scale=logit_scale), candidates, {}
    from vlcore.align.learned import fit_learned_heads

    network, curves = fit_learned_heads(towers, train, seed)
    return network, candidates, curves


def _check_enough(records: Sequence[Record], folds: int, path: Path) -> None:
    if len(records) < 4 * folds:
        raise ConfigurationError(
            f"{path}: {len(records)} training images with captions are too few to align on; at least {4 * folds} "
            f"are needed. Add captions, or use a ready dual encoder (`vlcore embed --help`)."
        )


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds[stage] = round(now - self._last, 2)
        self._last = now
