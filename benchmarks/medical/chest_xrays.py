"""covid-chestxray, disjoint by patient: views and findings from frozen features; notes and images find each other.

Settings are chosen by folds over the patients of `train`, and by balanced accuracy; temperature and the threshold of
abstention come from `val`. Intervals draw patients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness import data_root
from benchmarks.medical.towers import read, starter_towers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vlcore.align.data import Towers
    from vlcore.data.record import Record

SEEDS = (0, 1, 2)
LARGEST_RISK = 0.1
"""Share of wrong answers that abstention allows on the held-out images."""
COMPONENTS = (32, 128)
RATES = (1e-3, 5e-3)
RIDGES = (0.001, 0.01, 0.1, 1.0)


def records() -> list[Record]:
    return read("medical/covid_cxr", data_root() / "medical" / "covid_cxr" / "data.jsonl")


def images(chosen: Sequence[Record], towers: Towers) -> NDArray[np.float32]:
    """Pooled features `[N, W]`."""
    from vlcore.data.feature_cache import cache_image_features

    rows: NDArray[np.float32] = cache_image_features(
        chosen, towers.image.preprocess, towers.encode_images, towers.image_cache
    ).rows
    return rows


def diagnosis(cache: str) -> dict[str, Any]:
    """The calibrated head on two questions, beside the linear probe of the same features and the majority."""
    towers = starter_towers(cache)
    tasks = {"view": lambda record: record.labels.get("view"), "covid_19": _covid}
    answer = {}
    for name, label in tasks.items():
        told = [record for record in records() if label(record) is not None]
        parts = {split: [one for one in told if one.split == split] for split in ("train", "val", "test")}
        answer[name] = _diagnose(parts, label, towers)
        answer[name]["left_out_without_label"] = len(records()) - len(told)
    return answer


def _covid(record: Record) -> str | None:
    finding = record.labels.get("finding")
    return None if finding is None else "COVID-19" if "COVID-19" in finding else "another"


def _diagnose(parts: dict[str, list[Record]], label: Any, towers: Towers) -> dict[str, Any]:
    import torch

    from vlcore.metrics.bootstrap import unit_index
    from vlcore.metrics.classification import classification_floors
    from vlcore_medical.tasks.diagnosis import DiagnosisSettings, calibrate, choose_diagnosis, fit_diagnosis
    from vlcore_medical.tasks.fit import FitSettings

    features = {split: torch.tensor(images(part, towers)) for split, part in parts.items()}
    labels = {split: [label(record) for record in part] for split, part in parts.items()}
    unit = unit_index([str(record.group) for record in parts["test"]])
    groups = [str(record.group) for record in parts["train"]]
    candidates = [
        DiagnosisSettings(components=size, training=FitSettings(epochs=40, batch_size=64, learning_rate=rate))
        for size in COMPONENTS
        for rate in RATES
    ]
    chosen, held_out_scores = choose_diagnosis(features["train"], labels["train"], groups, candidates)
    runs = []
    for seed in SEEDS:
        model = fit_diagnosis(features["train"], labels["train"], chosen, seed=seed)
        target = model.target(labels["test"]).numpy()
        before = model.probabilities(features["test"])
        temperature = calibrate(model, features["val"], labels["val"])
        held_out = model.target(labels["val"]).numpy()
        after = model.probabilities(features["test"])
        runs.append(
            {
                "seed": seed,
                "temperature": temperature,
                "before": _scores(before, target, unit),
                "after": _scores(after, target, unit),
                "abstention": _abstention(model.probabilities(features["val"]), held_out, after, target),
            }
        )
    probe = _linear_probe(features["train"].numpy(), labels["train"], groups)
    return {
        "images": {split: len(part) for split, part in parts.items()},
        "classes": model.classes,
        "tried": [
            {"components": one.components, "learning_rate": one.training.learning_rate, "held_out": score}
            for one, score in zip(candidates, held_out_scores, strict=True)
        ],
        "head": runs,
        "linear_probe": _scores(probe.predict_proba(features["test"].numpy()), target, unit),
        "floors": classification_floors(target, len(model.classes)),
    }


def _scores(probability: NDArray[np.float64], target: NDArray[np.int64], unit: NDArray[np.int64]) -> dict[str, Any]:
    from vlcore.metrics.classification import classification_intervals, classification_scores

    scores = classification_scores(probability, target).to_dict()
    return {**scores, "intervals_95": classification_intervals(probability, target, unit)}


def _abstention(
    held_out: NDArray[np.float64],
    held_out_target: NDArray[np.int64],
    probability: NDArray[np.float64],
    target: NDArray[np.int64],
) -> dict[str, Any]:
    from vlcore_medical.metrics.selective import abstention_threshold, risk_coverage

    hit = probability.argmax(1) == target
    curve = risk_coverage(probability.max(1), hit)
    threshold = abstention_threshold(held_out.max(1), held_out.argmax(1) == held_out_target, LARGEST_RISK)
    answered = probability.max(1) >= threshold
    return {
        "area": curve.area,
        "random_area": curve.random_area,
        "best_area": curve.best_area,
        "curve": {"coverage": curve.coverage.tolist(), "risk": curve.risk.tolist()},
        "allowed_risk": LARGEST_RISK,
        "threshold": min(threshold, 1e9),
        "coverage": float(answered.mean()),
        "risk": float(1 - hit[answered].mean()) if answered.any() else None,
    }


def _linear_probe(features: NDArray[np.float32], labels: list[str], groups: list[str]) -> Any:
    """Logistic regression on standardised features; its ridge is chosen by folds over patients."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    grid = {"logisticregression__C": RIDGES}
    return GridSearchCV(probe, grid, cv=GroupKFold(3), scoring="balanced_accuracy").fit(features, labels, groups=groups)


def retrieval(cache: str) -> dict[str, Any]:
    """Images and notes of one patient look for each other, aligned in closed form; chance beside the recalls."""
    from vlcore.align.closed_form import choose_closed_form, closed_form_heads
    from vlcore.align.data import encode_records
    from vlcore.align.features import group_folds
    from vlcore.data.decode import DecodeReport
    from vlcore.metrics.bootstrap import unit_index
    from vlcore.metrics.relevance import extend_by_duplicates
    from vlcore.metrics.retrieval import retrieval_ranks
    from vlcore.metrics.retrieval_scores import RetrievalScores, chance_scores, retrieval_intervals

    towers = starter_towers(cache)
    noted = [record for record in records() if record.texts]
    train, test = (
        encode_records(
            [record for record in noted if (record.split == "test") == held_out],
            towers,
            batch_size=32,
            on_bad_image="raise",
            report=DecodeReport(),
            progress=False,
        ).features
        for held_out in (False, True)
    )
    answer: dict[str, Any] = {"images": {"train": len(train), "test": len(test)}, "patients": len(set(test.groups))}
    patient = unit_index(list(test.groups))
    of_text = patient[test.image_of_text]
    # Any note of a patient is right for any image of that patient: notes repeat within a patient.
    relevance = extend_by_duplicates(test.relevance, text_key=of_text, image_key=patient)
    answer["runs"] = []
    for seed in SEEDS:
        settings, _ = choose_closed_form(train, group_folds(train.groups, 3, seed))
        heads = closed_form_heads(train, settings)
        embedded = [_unit(head(side)) for head, side in zip(heads, test.tensors, strict=True)]
        ranks = retrieval_ranks(embedded[0], embedded[1], relevance)
        answer["runs"].append(
            {
                "seed": seed,
                "scores": RetrievalScores.from_ranks(ranks).to_dict(),
                "intervals_95": retrieval_intervals(ranks, patient, of_text),
            }
        )
        answer["chance"] = chance_scores(ranks).to_dict()
    return answer


def _unit(rows: Any) -> Any:
    return rows / rows.norm(dim=1, keepdim=True)
