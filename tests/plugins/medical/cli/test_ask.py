"""From questions to a model directory that is asked about an image: pictures, DICOM files, heads and M3AEs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from small_bert import save_tower
from small_clip import save_open_clip
from vlcore.cli.main import main
from vlcore.data.record import ImageRef, Record, Text
from vlcore.hub.model_directory import ModelCard, load_model_directory, save_model_directory
from vlcore.plugins import registries
from vlcore_medical.m3ae.build import build_m3ae, with_heads
from vlcore_medical.notice import RESEARCH_USE
from vlcore_medical.tasks.answering import Answerer

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220)}


def read_colours(path: Path) -> list[Record]:
    """Two questions about each image; only the image tells the answers."""
    records = []
    for number, image in enumerate(sorted(path.glob("*.png"))):
        colour, split = image.stem.split("_")[0], "test" if number % 4 == 0 else "train"
        for question, answer, kind in (
            ("what colour is it", colour, "OPEN"),
            ("is it red", "Yes" if colour == "red" else "No", "CLOSED"),
        ):
            labels = {"answer": answer, "answer_type": kind}
            text = (Text(question, lang="en", kind="question"),)
            records.append(Record(f"{image.name} {kind}", ImageRef(image), text, image.name, split, labels))
    return records


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folder of images and the model directory that the command made of them."""
    readers = registries().readers
    if "small/colours" not in readers:
        readers.register("small/colours", read_colours)
    root = tmp_path_factory.mktemp("questions")
    images = root / "images"
    images.mkdir()
    noise = np.random.default_rng(0)
    for number in range(48):
        colour = list(COLOURS)[number % 3]
        pixels = np.clip(np.array(COLOURS[colour]) + noise.normal(0, 12, (32, 32, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(images / f"{colour}_{number}.png")
    tower = f"open_clip/{save_open_clip(root / 'clip')}"
    arguments = [str(images), "-o", str(root / "model"), "--reader", "small/colours", "--folds", "2"]
    arguments += ["--image-encoder", tower, "--text-encoder", tower, "--cache", str(root / "cache")]
    assert main(["medical", "fit-answers", *arguments, "--bootstrap", "50"]) == 0
    return images, root / "model"


def test_it_sees_the_image_and_the_card_tells_scores_beside_floors(trained: tuple[Path, Path]) -> None:
    card = load_model_directory(trained[1]).card
    accuracy = card.scores["test"]["accuracy"]
    assert accuracy["overall"] == pytest.approx((accuracy["open"] + accuracy["closed"]) / 2)
    assert accuracy["open"] > card.floors["question only"]["test"]["accuracy"]["open"] + 30
    assert set(card.floors) == {"question only", "majority"}
    assert (card.data["reader"], card.data["test_images_also_in_train"]) == ("small/colours", 0)
    assert "question only" in card.training["held_out_accuracy"]


def test_the_answer_comes_with_what_was_measured(
    trained: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    images, model = trained
    assert main(["medical", "ask", str(images / "blue_2.png"), "what  colour is it", "-m", str(model)]) == 0
    printed = capsys.readouterr().out
    assert printed.index("blue") < printed.index("question only") < printed.index(RESEARCH_USE)
    assert "Protocol: reader small/colours; splits test 24, train 72" in printed
    command = ["medical", "ask", str(images / "blue_2.png"), "what colour is it", "-m", str(model)]
    assert main([*command, "--format", "json", "-k", "5"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["answers"][0]["answer"] == "blue" and len(told["answers"]) == 5
    assert sum(one["probability"] for one in told["answers"]) == pytest.approx(1, abs=1e-5)
    assert told["notice"] == RESEARCH_USE and told["floors"]["majority"]["test"]


def test_a_dicom_file_is_asked_as_it_is_shown(trained: tuple[Path, Path], data_root: Path) -> None:
    from vlcore_medical.dicom.picture import read_picture

    dark = data_root / "medical" / "dicom" / "Fake_MONOHR1.dcm"
    picture = read_picture(dark)
    assert picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8
    from vlcore_medical.dicom.image import open_dicom
    from vlcore_medical.dicom.render import render

    assert np.array_equal(picture[..., 1], render(open_dicom(dark)))
    assert main(["medical", "ask", str(dark), "is it red", "-m", str(trained[1])]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.png", "is it red"], "nowhere.png"),
        (["{image}", "  "], "The question has no words"),
        (["{image}", "is it red", "-k", "0"], "-k 0: choose at least 1"),
    ],
)
def test_mistakes_are_one_sentence(
    trained: tuple[Path, Path], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [one.format(image=trained[0] / "blue_2.png") for one in arguments]
    assert main(["medical", "ask", *given, "-m", str(trained[1])]) == 2
    assert message in capsys.readouterr().err


def test_an_m3ae_answers_once_it_was_fine_tuned(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    plain = build_m3ae("tiny", f"transformers/{save_tower(tmp_path / 'bert', 'roberta')}", image_size=32, max_tokens=16)
    card: dict[str, Any] = {"name": "M3AE", "training": {"loss": "binary"}}
    save_model_directory(tmp_path / "plain", plain, ModelCard(**card))
    image = trained[0] / "red_0.png"
    assert main(["medical", "ask", str(image), "a square", "-m", str(tmp_path / "plain")]) == 2
    assert "does not answer questions. Train one that does: vlcore medical fit-answers" in capsys.readouterr().err
    tuned = with_heads(plain, ["answers"], ["no", "yes", "red"])
    save_model_directory(tmp_path / "tuned", tuned, ModelCard(**card))
    answers = Answerer.load(tmp_path / "tuned", "cpu").ask(image, "a square", 3)
    assert {one.answer for one in answers} == {"no", "yes", "red"}
    assert [one.probability for one in answers] == sorted((one.probability for one in answers), reverse=True)
    # One yes or no for each answer: independent probabilities.
    assert sum(one.probability for one in answers) != pytest.approx(1, abs=1e-3)
    save_model_directory(tmp_path / "softmax", tuned, ModelCard("M3AE", training={"loss": "softmax"}))
    answers = Answerer.load(tmp_path / "softmax", "cpu").ask(image, "a square", 3)
    assert sum(one.probability for one in answers) == pytest.approx(1, abs=1e-5)
