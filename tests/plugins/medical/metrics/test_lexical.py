"""BLEU, ROUGE-L and CIDEr against an independent implementation, and against pycocoevalcap where it is installed."""

from __future__ import annotations

import math
import random
from functools import cache

import pytest

from vlcore.errors import EvaluationError
from vlcore_medical.metrics.lexical import lexical_scores

WORDS = ["no", "pleural", "effusion", "or", "pneumothorax", "the", "heart", "is", "normal", "lungs", "clear"]


def corpus(seed: int, size: int = 25) -> tuple[list[str], list[list[str]]]:
    """Random texts, and references that keep most of their words, so that they share n-grams."""
    chance = random.Random(seed)
    texts = [[chance.choice(WORDS) for _ in range(chance.randint(1, 14))] for _ in range(size)]

    def changed(words: list[str]) -> str:
        kept = [chance.choice(WORDS) if chance.random() < 0.2 else word for word in words]
        return " ".join(kept[: chance.randint(1, 14)])

    return [" ".join(words) for words in texts], [
        [changed(words) for _ in range(chance.randint(1, 3))] for words in texts
    ]


def grams(text: str, order: int) -> list[str]:
    words = text.split()
    return [" ".join(words[start : start + order]) for start in range(len(words)) if start + order <= len(words)]


def reference_bleu(candidates: list[str], references: list[list[str]], highest: int) -> float:
    logarithms = []
    for order in range(1, highest + 1):
        right = total = 0
        for candidate, texts in zip(candidates, references, strict=True):
            mine = grams(candidate, order)
            total += len(mine)
            right += sum(min(mine.count(g), max(grams(t, order).count(g) for t in texts)) for g in set(mine))
        logarithms.append(math.log(right / total))
    mine = sum(len(candidate.split()) for candidate in candidates)
    theirs = 0
    for candidate, texts in zip(candidates, references, strict=True):
        lengths = sorted(len(text.split()) for text in texts)
        theirs += min(lengths, key=lambda length: abs(length - len(candidate.split())))
    return min(1.0, math.exp(1 - theirs / mine)) * math.exp(sum(logarithms) / highest)


def reference_rouge(candidate: str, texts: list[str]) -> float:
    def common(first: tuple[str, ...], second: tuple[str, ...]) -> int:
        @cache
        def at(i: int, j: int) -> int:
            if i == len(first) or j == len(second):
                return 0
            return 1 + at(i + 1, j + 1) if first[i] == second[j] else max(at(i + 1, j), at(i, j + 1))

        return at(0, 0)

    mine = tuple(candidate.split())
    precision = max(common(mine, tuple(text.split())) for text in texts) / len(mine)
    recall = max(common(mine, tuple(text.split())) / len(text.split()) for text in texts)
    return 2.44 * precision * recall / (recall + 1.44 * precision) if precision else 0.0


def reference_cider(candidates: list[str], references: list[list[str]]) -> float:
    def weights(text: str, order: int) -> dict[str, float]:
        found = grams(text, order)
        vector = {}
        for gram in set(found):
            documents = sum(any(gram in grams(text, order) for text in texts) for texts in references)
            vector[gram] = found.count(gram) * math.log(len(references) / max(1, documents))
        return vector

    scores = []
    for candidate, texts in zip(candidates, references, strict=True):
        for order in range(1, 5):
            for text in texts:
                mine, theirs = weights(candidate, order), weights(text, order)
                product = sum(min(mine[g], theirs[g]) * theirs[g] for g in mine.keys() & theirs.keys())
                norm = math.hypot(*mine.values()) * math.hypot(*theirs.values())
                difference = len(candidate.split()) - len(text.split())
                scores.append((product / norm if norm else 0.0) * math.exp(-(difference**2) / 72) / len(texts))
    return 10 * sum(scores) / 4 / len(candidates)


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_an_independent_implementation(seed: int) -> None:
    candidates, references = corpus(seed)
    scores = lexical_scores(candidates, references)
    for order in range(1, 5):
        assert scores.bleu[order - 1] == pytest.approx(reference_bleu(candidates, references, order), abs=1e-9)
    rouge = sum(map(reference_rouge, candidates, references)) / len(candidates)
    assert scores.rouge_l == pytest.approx(rouge, abs=1e-12)
    assert scores.cider == pytest.approx(reference_cider(candidates, references), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_pycocoevalcap(seed: int) -> None:
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu")
    rouge = pytest.importorskip("pycocoevalcap.rouge.rouge")
    cider = pytest.importorskip("pycocoevalcap.cider.cider")
    candidates, references = corpus(seed)
    scores = lexical_scores(candidates, references)
    told, meant = {n: [text] for n, text in enumerate(candidates)}, dict(enumerate(references))
    assert scores.bleu == pytest.approx(bleu.Bleu(4).compute_score(meant, told, verbose=0)[0], abs=1e-6)
    assert scores.rouge_l == pytest.approx(rouge.Rouge().compute_score(meant, told)[0], abs=1e-6)
    assert scores.cider == pytest.approx(cider.Cider().compute_score(meant, told)[0], abs=1e-6)


def test_the_same_text_and_no_text() -> None:
    texts = ["no pleural effusion is seen", "the heart is of normal size"]
    scores = lexical_scores(texts, [[text] for text in texts])
    assert scores.bleu == pytest.approx((1, 1, 1, 1))
    assert (scores.rouge_l, scores.cider) == pytest.approx((1, 10))
    empty = lexical_scores(["", ""], [[text] for text in texts])
    assert (*empty.bleu, empty.rouge_l, empty.cider) == pytest.approx((0,) * 6, abs=1e-6)


@pytest.mark.parametrize(
    ("candidates", "references", "message"),
    [
        ([], [], "got 0 and 0"),
        (["a"], [["a"], ["b"]], "got 1 and 2"),
        (["a", "b"], [["a"], []], "Text 1 has a reference without words, or none"),
        (["a"], [["a", " "]], "Text 0 has a reference without words"),
    ],
)
def test_what_cannot_be_scored_is_told(candidates: list[str], references: list[list[str]], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        lexical_scores(candidates, references)
