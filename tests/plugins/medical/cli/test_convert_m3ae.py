"""`vlcore medical convert-m3ae`, end to end on a random checkpoint in the released layout."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from small_bert import save_tower
from vlcore.cli.main import main
from vlcore.hub.model_directory import load_model_directory

sys.path.append(str(Path(__file__).parents[1] / "m3ae"))

from released_layout import as_file, released_state


def convert(folder, state, *more):
    path = as_file(folder / "m3ae.ckpt", state)
    roberta = save_tower(folder / "roberta", "roberta")
    arguments = [str(path), "--output", str(folder / "model"), "--tokenizer", str(roberta), *more]
    return main(["medical", "convert-m3ae", *arguments])


def test_a_checkpoint_becomes_a_directory_with_a_report(tmp_path, capsys):
    assert convert(tmp_path, released_state()) == 0
    assert "tensors mapped, 7 left out" in capsys.readouterr().out
    loaded = load_model_directory(tmp_path / "model")
    assert loaded.model.tokenizer.context_length == 16
    assert loaded.card.training["converted from"] == "m3ae.ckpt"
    assert len(json.loads((tmp_path / "model" / "conversion.json").read_text())["dropped"]) == 7


def test_answers_come_from_a_file(tmp_path, capsys):
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps(list("abcde")))
    assert convert(tmp_path, released_state({"vqa"}), "--answers", str(answers)) == 0
    assert load_model_directory(tmp_path / "model").model.network.answers == tuple("abcde")


@pytest.mark.parametrize(
    ("content", "message"), [("{", "is no JSON file of answers"), ('{"a": 1}', "must hold a list of texts")]
)
def test_another_file_of_answers_is_told(tmp_path, capsys, content, message):
    answers = tmp_path / "answers.json"
    answers.write_text(content)
    assert convert(tmp_path, released_state({"vqa"}), "--answers", str(answers)) == 2
    assert message in capsys.readouterr().err
