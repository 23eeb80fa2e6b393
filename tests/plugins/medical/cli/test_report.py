"""From images with reports to a model directory that writes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_clip import save_open_clip
from vlcore.cli.main import main
from vlcore.data.record import ImageRef, Record, Text
from vlcore.hub.model_directory import load_model_directory
from vlcore.plugins import registries
from vlcore_medical.notice import RESEARCH_USE
from vlcore_medical.tasks.report_words import plain_words

REPORTS = {
    (220, 30, 30): ("The heart is enlarged.", "Cardiomegaly."),
    (30, 180, 60): ("The lungs are clear.", "No acute disease."),
    (40, 60, 220): ("There is a large left effusion.", "Pleural effusion."),
}


def read_studies(path: Path) -> list[Record]:
    """Reports of two sections with an indication before them; one image has none."""
    records = []
    for number, image in enumerate(sorted(path.glob("*.png"))):
        findings, impression = list(REPORTS.values())[int(image.stem.split("_")[1])]
        texts = (
            Text("Chest pain.", kind="indication"),
            Text(impression, kind="impression"),
            Text(findings, kind="findings"),
        )
        split = "test" if number % 4 == 0 else "train"
        records.append(Record(image.name, ImageRef(image), texts if number else texts[:1], image.name, split))
    return records


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    readers = registries().readers
    if "small/studies" not in readers:
        readers.register("small/studies", read_studies)
    folder = tmp_path_factory.mktemp("studies")
    noise = np.random.default_rng(0)
    for number in range(32):
        colour = list(REPORTS)[number % 3]
        pixels = np.clip(np.array(colour) + noise.normal(0, 12, (32, 32, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}_{number % 3}.png")
    return folder


@pytest.fixture(scope="module")
def trained(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reports")
    arguments = [str(images), "-o", str(root / "model"), "--reader", "small/studies", "--cache", str(root / "cache")]
    arguments += ["--kinds", "findings", "impression", "--image-encoder", f"open_clip/{save_open_clip(root / 'clip')}"]
    assert main(["medical", "fit-reports", *arguments, "--epochs", "60"]) == 0
    return root / "model"


def test_reports_come_from_the_image_and_stand_beside_floors(trained: Path) -> None:
    card = load_model_directory(trained).card
    scores, floors = card.scores["test"], card.floors
    assert scores["bleu_4"] > 0.95 > floors["constant"]["test"]["bleu_4"]
    assert scores["findings_micro_f1"] > floors["constant"]["test"]["findings_micro_f1"]
    assert set(floors) == {"constant", "nearest"}
    # The image without a report is counted, and the indication is no part of one.
    assert card.data["without_a_report"] == 1 and card.data["kinds"] == ["findings", "impression"]


def test_the_command_prints_report_findings_and_what_was_measured(
    trained: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["medical", "report", str(images / "05_2.png"), "-m", str(trained)]) == 0
    printed = capsys.readouterr().out
    report = " ".join(plain_words("There is a large left effusion. Pleural effusion."))
    assert printed.startswith(report)
    assert "Findings stated: Pleural Effusion" in printed
    assert "constant" in printed and RESEARCH_USE in printed and "reader small/studies" in printed
    command = ["medical", "report", str(images / "05_2.png"), "-m", str(trained), "--format", "json", "--beams", "1"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["report"], told["findings"]) == (report, ["Pleural Effusion"])


BEFORE = ("Edema has resolved.", "Effusion has resolved.")


def read_visits(path: Path) -> list[Record]:
    """Two studies of each patient; the second one's report tells the colour of the first's image."""
    records = []
    for number, (first, second) in enumerate(json.loads((path / "visits.json").read_text())):
        split = "test" if number // 4 % 4 == 0 else "train"  # every pair of colours on either side
        before, now = f"s{2 * number}", f"s{2 * number + 1}"
        for study, prior, colours in ((before, None, [first]), (now, before, [second, second])):
            text = Text("Baseline." if prior is None else BEFORE[first], kind="findings")
            for view, colour in enumerate(colours):
                # Only the first image of a study carries its report.
                texts = (text,) if view == 0 else ()
                reference = ImageRef(path / f"{number % 4:02d}_{colour}.png")
                meta = {"study": study, "prior_study": prior}
                records.append(Record(f"{study} {view}", reference, texts, f"patient {number}", split, meta=meta))
    return records


def test_a_report_reads_all_images_of_a_study_and_those_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readers = registries().readers
    if "small/visits" not in readers:
        readers.register("small/visits", read_visits)
    noise = np.random.default_rng(0)
    for number in range(4):
        for place, colour in enumerate(list(REPORTS)[:2]):
            pixels = np.clip(np.array(colour) + noise.normal(0, 12, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{number:02d}_{place}.png")
    visits = [[number % 2, number // 2 % 2] for number in range(16)]
    (tmp_path / "visits.json").write_text(json.dumps(visits))
    clip = f"open_clip/{save_open_clip(tmp_path / 'clip')}"
    arguments = [str(tmp_path), "-o", str(tmp_path / "model"), "--reader", "small/visits", "--image-encoder", clip]
    arguments += ["--cache", str(tmp_path / "cache"), "--epochs", "60", "--beams", "1", "--prior"]
    assert main(["medical", "fit-reports", *arguments]) == 2
    assert "Prior images belong to studies" in capsys.readouterr().err
    assert main(["medical", "fit-reports", *arguments, "--views", "study"]) == 0
    capsys.readouterr()
    card = load_model_directory(tmp_path / "model").card
    assert card.data["reports"] == {"train": 24, "test": 8}
    # Images of the second study are seen as often with either report: only those of the first tell.
    assert card.scores["test"]["bleu_1"] > 0.95

    def report(*arguments: str) -> str:
        assert main(["medical", "report", *arguments, "-m", str(tmp_path / "model"), "--format", "json"]) == 0
        told: str = json.loads(capsys.readouterr().out)["report"]
        return told

    red, green = str(tmp_path / "01_0.png"), str(tmp_path / "01_1.png")
    assert report(red) == "baseline ."
    for image in (red, green):
        assert report(image, image, "--prior", red) == "edema has resolved ."
        assert report(image, image, "--prior", green) == "effusion has resolved ."


def test_a_model_of_single_images_takes_one(trained: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = str(images / "05_2.png")
    assert main(["medical", "report", image, image, "-m", str(trained)]) == 2
    assert "learned from single images; 2 were given" in capsys.readouterr().err
    assert main(["medical", "report", image, "-m", str(trained), "--prior", image]) == 2
    assert "did not learn to read prior images" in capsys.readouterr().err


def test_mistakes_are_one_sentence(
    trained: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = str(images / "05_2.png")
    assert main(["medical", "ask", image, "is it", "-m", str(trained)]) == 2
    assert "does not answer questions" in capsys.readouterr().err
    assert main(["medical", "report", image, "-m", str(trained), "--beams", "0"]) == 2
    assert "--beams 0: choose at least 1" in capsys.readouterr().err
    clip = f"open_clip/{save_open_clip(tmp_path / 'clip')}"
    arguments = [str(images), "-o", str(tmp_path / "model"), "--reader", "small/studies", "--image-encoder", clip]
    assert main(["medical", "fit-reports", *arguments, "--kinds", "history"]) == 2
    assert "['history']. Kinds there: findings, impression, indication." in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
