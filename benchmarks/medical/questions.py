"""VQA-RAD with a trained answer head on frozen starter towers, beside the head that never sees the image.

Fusion and components are chosen by three folds over the images of train and val of the image-disjoint split, blind head
and all; its test images are read once, by the head that won and the floors. The official split, whose test images all
but one occur in train, stands beside it with the same settings: nothing is chosen on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness import data_root
from benchmarks.medical.towers import read, starter_towers

if TYPE_CHECKING:
    from vlcore_medical.tasks.visual_questions import Questions

SEEDS = (0, 1, 2)
COMPONENTS = (4, 16)
REPEATS = 1000


def questions(cache: str) -> dict[str, Any]:
    """Accuracy on both splits, closed, open and overall."""
    from vlcore_medical.heads.answer import FUSIONS
    from vlcore_medical.tasks.visual_questions import AnswerSettings, encode_questions, held_out_accuracy

    splits = {}
    for protocol in ("strict", "paper"):
        records = read("medical/vqa_rad", data_root() / "medical" / "vqa_rad" / "qa.jsonl", protocol=protocol)
        splits[protocol] = records
    towers = starter_towers(cache)
    parts = {}
    for protocol, records in splits.items():
        test = [record for record in records if record.split == "test"]
        rest = [record for record in records if record.split != "test"]
        parts[protocol] = (encode_questions(rest, towers), encode_questions(test, towers))
    train = parts["strict"][0]
    tried = [AnswerSettings("none")]
    tried += [AnswerSettings(fusion, size) for fusion in FUSIONS if fusion != "none" for size in COMPONENTS]
    held_out = [held_out_accuracy(train, settings) for settings in tried]
    chosen = max(range(1, len(tried)), key=held_out.__getitem__)
    answer: dict[str, Any] = {
        "tried": [
            {"fusion": one.fusion, "components": one.components, "held_out": score}
            for one, score in zip(tried, held_out, strict=True)
        ],
        "chosen": tried[chosen].to_dict(),
    }
    for protocol, (rest, test) in parts.items():
        leak = len(set(rest.images) & set(test.images))
        answer[protocol] = {"test_images": len(set(test.images)), "of_them_in_train": leak}
        answer[protocol] |= _scores(rest, test, tried[chosen])
    return answer


def _scores(train: Questions, test: Questions, settings: Any) -> dict[str, Any]:
    from dataclasses import asdict, replace

    from vlcore_medical.metrics.answers import answer_scores
    from vlcore_medical.tasks.visual_questions import fit_answers, majority_answers

    def score(told: list[str]) -> dict[str, Any]:
        return asdict(answer_scores(told, test.answers, test.closed.numpy(), test.images, repeats=REPEATS))

    blind = replace(settings, fusion="none")
    told = {
        name: [fit_answers(train, one, seed=seed).predict(test.image, test.question) for seed in SEEDS]
        for name, one in (("image_and_question", settings), ("question_only", blind))
    }
    return {
        "unseen_answers": sum(answer not in set(train.answers) for answer in test.answers),
        "majority": score(majority_answers(train, test)),
        **{name: [score(answers) for answers in runs] for name, runs in told.items()},
        "gain": _gain(told["image_and_question"], told["question_only"], test),
    }


def _gain(told: list[list[str]], blind: list[list[str]], test: Questions) -> dict[str, Any]:
    """Accuracy of the head less that of the blind one, mean over seeds, with the interval over images."""
    import numpy as np

    from vlcore.metrics.bootstrap import Floats, bootstrap_interval, unit_index

    right = [
        np.array([[one == other for one, other in zip(run, test.answers, strict=True)] for run in side])
        for side in (told, blind)
    ]
    difference = right[0].mean(axis=0) - right[1].mean(axis=0)
    unit = unit_index(test.images)
    units = int(unit.max()) + 1
    gained, asked = np.bincount(unit, weights=difference, minlength=units), np.bincount(unit, minlength=units)

    def statistic(weights: Floats) -> Floats:
        return np.asarray((weights @ gained) / (weights @ asked) * 100)[:, None]

    return {
        "overall": float(difference.mean() * 100),
        "interval_95": bootstrap_interval(statistic, units, repeats=REPEATS)[0].tolist(),
        "spread_of_seeds": float(max(np.ptp(side.mean(axis=1)) for side in right) * 100),
    }
