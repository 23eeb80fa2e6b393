"""BLEU, ROUGE-L and CIDEr of generated texts, in pure Python, equal to pycocoevalcap's on the same words.

Words are what white space divides. pycocoevalcap's own tokeniser needs Java; give texts as you want them compared,
for example lower case with punctuation removed, and say so beside the scores.

Source: K. Papineni et al., BLEU, ACL 2002; C.-Y. Lin, ROUGE, 2004; R. Vedantam et al., CIDEr, arXiv 1411.5726.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vlcore.errors import EvaluationError

ORDERS = 4
ROUGE_BETA = 1.2
CIDER_SIGMA = 6.0
"""Standard deviation of the length penalty, in bigrams (see `_CiderVector`)."""

Counts = Counter[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class LexicalScores:
    """Scores of N texts.

    Attributes:
        bleu: BLEU-1 to BLEU-4 of the corpus, in [0, 1].
        rouge_l: mean ROUGE-L F (beta 1.2), in [0, 1].
        cider: mean CIDEr-D, in [0, 10].
    """

    bleu: tuple[float, float, float, float]
    rouge_l: float
    cider: float


def lexical_scores(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> LexicalScores:
    """Score texts against their references.

    Args:
        candidates: N texts; one without words scores 0.
        references: N lists of at least one text.

    Raises:
        EvaluationError: if there is nothing to score, the lengths differ, or a text has no reference with words.
    """
    if not candidates or len(candidates) != len(references):
        raise EvaluationError(
            f"Lexical scores need as many texts as lists of references; got {len(candidates)} and {len(references)}."
        )
    told = [text.split() for text in candidates]
    meant = [[text.split() for text in texts] for texts in references]
    for number, texts in enumerate(meant):
        if not texts or not all(texts):
            raise EvaluationError(f"Text {number} has a reference without words, or none. Leave it out or mend it.")
    rouge = [_rouge_l(words, texts) for words, texts in zip(told, meant, strict=True)]
    return LexicalScores(_bleu(told, meant), sum(rouge) / len(rouge), _cider(told, meant))


def _counts(words: Sequence[str], order: int) -> Counts:
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))


def _bleu(told: list[list[str]], meant: list[list[list[str]]]) -> tuple[float, float, float, float]:
    # The small numbers are pycocoevalcap's: they keep empty corpora finite, and equality needs them.
    length = sum(map(len, told))
    closest = sum(
        min((abs(len(text) - len(words)), len(text)) for text in texts)[1]
        for words, texts in zip(told, meant, strict=True)
    )
    ratio = (length + 1e-15) / (closest + 1e-9)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product = 1.0
    scores = []
    for order in range(1, ORDERS + 1):
        right = possible = 0
        for words, texts in zip(told, meant, strict=True):
            most: Counts = Counter()
            for text in texts:
                most |= _counts(text, order)
            right += (_counts(words, order) & most).total()
            possible += max(0, len(words) - order + 1)
        product *= (right + 1e-15) / (possible + 1e-9)
        scores.append(product ** (1 / order) * penalty)
    return scores[0], scores[1], scores[2], scores[3]


def _rouge_l(words: list[str], texts: list[list[str]]) -> float:
    common = [_longest_common_subsequence(words, text) for text in texts]
    precision = max(common) / len(words) if words else 0.0
    recall = max(length / len(text) for length, text in zip(common, texts, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)


def _longest_common_subsequence(first: list[str], second: list[str]) -> int:
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for place, other in enumerate(second, start=1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return row[-1]


@dataclass(frozen=True, slots=True)
class _CiderVector:
    """TF-IDF weights of one text per order, their norms, and the number of bigrams: CIDEr-D's code measures in them."""

    weights: list[dict[tuple[str, ...], float]]
    norms: list[float]
    bigrams: int


def _cider(told: list[list[str]], meant: list[list[list[str]]]) -> float:
    documents: Counts = Counter()
    for texts in meant:
        documents.update({gram for text in texts for order in range(1, ORDERS + 1) for gram in _counts(text, order)})
    log_documents = math.log(len(meant))

    def vector(words: list[str]) -> _CiderVector:
        weights = [
            {
                gram: count * (log_documents - math.log(max(1, documents[gram])))
                for gram, count in _counts(words, order).items()
            }
            for order in range(1, ORDERS + 1)
        ]
        norms = [math.sqrt(sum(value**2 for value in values.values())) for values in weights]
        return _CiderVector(weights, norms, max(0, len(words) - 1))

    total = 0.0
    for words, texts in zip(told, meant, strict=True):
        candidate = vector(words)
        total += sum(_cider_similarity(candidate, vector(text)) for text in texts) / len(texts)
    return 10 * total / len(told)


def _cider_similarity(candidate: _CiderVector, reference: _CiderVector) -> float:
    difference = candidate.bigrams - reference.bigrams
    penalty = math.exp(-(difference**2) / (2 * CIDER_SIGMA**2))
    total = 0.0
    for order in range(ORDERS):
        other = reference.weights[order]
        shared = sum(
            min(weight, other[gram]) * other[gram] for gram, weight in candidate.weights[order].items() if gram in other
        )
        norm = candidate.norms[order] * reference.norms[order]
        total += shared / norm if norm else shared
    return penalty * total / ORDERS
