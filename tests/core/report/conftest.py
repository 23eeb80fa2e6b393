"""A result in the form that evaluation writes, from a real evaluation of random embeddings."""

from __future__ import annotations

import copy
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from vlcore.data.record import ImageRef, Record, Text
from vlcore.report import ReportData
from vlcore.report.write import render_report
from vlcore.retrieval.evaluate import evaluate_embeddings
from vlcore.retrieval.evaluation_set import EvaluationSet

SCRIPT = "<script>document.title='stolen'</script>"
ARABIC = "منظر جوي لمطار"
CHINESE = "沙滩上有三把红色遮阳伞"
COUNT = 30
VOID = {"meta", "link", "img", "source", "br", "path", "use"}


class Page(HTMLParser):
    """Elements with attributes, the text outside styles, and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
            self.open.pop()

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def identifiers(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


@pytest.fixture(scope="session")
def read_page():
    return Page


@pytest.fixture(scope="session")
def odd():
    """Texts that break careless pages."""
    return SimpleNamespace(script=SCRIPT, arabic=ARABIC, chinese=CHINESE)


@pytest.fixture(scope="session")
def result(tmp_path_factory):
    noise = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("images")
    chosen = EvaluationSet()
    for index in range(COUNT):
        texts = (Text(f"first caption {index}"), Text(f"second caption {index}"))
        record = Record(f"id_{index}", ImageRef(folder / f"{index}.png"), texts, labels={"label": "ab"[index % 2]})
        chosen.add(record, str(index).encode(), "label")
    image = noise.normal(size=(COUNT, 8))
    text = np.repeat(image, 2, axis=0) + noise.normal(size=(2 * COUNT, 8))
    image, text = ((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (image, text))
    protocol = {
        "split": "test",
        "images": COUNT,
        "truncated_captions": 7,
        "bad_images": [{"id": "torn<1>", "place": "torn.jpg", "reason": "the file is empty (0 bytes)"}],
        "model_fingerprint": "ab" * 32,
        "versions": {"torch": "2.9.0"},
        "zero_shot": {"prompts": "photo", "templates": ["a photo of {}"]},
        "command": "vlcore evaluate run's",
        "date": "2030-01-02T03:04:05+00:00",
    }
    zero_shot = {
        "accuracy": 81.25,
        "balanced_accuracy": 80.0,
        "macro_f1": 79.0,
        "top5": 100.0,
        "ece": 3.2,
        "samples": COUNT,
        "classes": 2,
        "labels": ["a", "b"],
        "interval": {"accuracy": [70.0, 92.0]},
        "floor": {"chance": {"accuracy": 50.0}, "majority": {"accuracy": 50.0, "macro_f1": 33.3}},
        "confusion": [[12, 3], [2, 13]],
    }
    floor = evaluate_embeddings(chosen, image[:, :4], text[:, :4], protocol={}, bootstrap=5).retrieval
    scored = evaluate_embeddings(
        chosen, image, text, protocol=protocol, zero_shot=zero_shot, bootstrap=50, floors={"closed_form": floor}
    )
    return scored.to_dict()


@pytest.fixture(scope="session")
def report_data(result):
    odd = (SCRIPT, ARABIC, CHINESE, "word " * 80, '"quoted" & <b>bold</b>')
    examples = copy.deepcopy(result["examples"])
    # Odd captions as queries, as hits and as what was wanted.
    for place, caption in enumerate(odd):
        examples["text_to_image"]["spread"][place]["caption"] = caption
        examples["image_to_text"]["spread"][place]["hits"][place]["caption"] = caption
        examples["image_to_text"]["worst"][place]["captions"][0] = caption
    result = {**result, "examples": examples}

    def image_of(identifier):
        number = int(identifier.removeprefix("id_"))
        if number == 3:
            raise OSError("gone")
        if number == 4:
            return None
        pixels = np.full((300, 500, 3), (number * 8, 90, 160), dtype=np.uint8)
        return pixels if number % 2 else Image.fromarray(pixels)

    return ReportData(
        title=f"Report {SCRIPT}",
        command=f"vlcore align 'a b.jsonl' -o {SCRIPT}",
        result=result,
        candidates=[
            {"name": "closed form", "settings": {"components": 64}, "mean": 41.2, "std": 1.3, "seconds": 2.5},
            {"name": "residual MLP", "settings": {}, "mean": 39.0, "std": 0.7, "seconds": 9.1},
        ],
        curves={"train loss": [(0, 3.0), (10, 1.5), (20, 1.1)]},
        ranks={"text_to_image": [1, 2, 5, 30], "image_to_text": [1, 1, 4]},
        data={"records": 150, "splits": {"train": 120, "test": 30}, "languages": {"en": 300}},
        audit={
            "leaks": True,
            "same_text": {
                "count": 2,
                "compared": 150,
                "by_split": {"train": 1, "test": 1},
                "examples": [
                    {"first": "id_1", "first_split": "train", "second": "id_2", "second_split": "test", "text": SCRIPT}
                ],
            },
            "same_group": {"count": 4, "compared": 150, "by_split": {}, "examples": []},
            "near_duplicate": {"count": 0, "compared": 150, "by_split": {}, "examples": []},
        },
        model={"towers": {"image": {"source": "starter/efficientnet_lite0", "licence": "Apache-2.0"}}},
        image_of=image_of,
    )


@pytest.fixture(scope="session")
def html(report_data):
    return render_report(report_data)
