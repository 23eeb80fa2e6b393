"""The card says what was measured, in words and in facts that can be read back."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.hub.model_card import ModelCard, installed_versions
from vlcore.hub.model_directory import load_model_directory, save_model_directory

CARD = ModelCard(
    name="Photos | of dogs",
    command="vlcore align captions.jsonl -o model --seed 1",
    data={
        "manifest": "captions.jsonl",
        "records": np.int64(750),
        "splits": {"train": 600, "test": 150},
        "audit": {"leaks": 0},
    },
    training={"method": "closed form", "components": 64, "tried": ("closed form", "residual MLP")},
    scores={"test": {"i2t_r1": np.float32(25.5), "interval": [20.0, 31.0]}, "mean_recall": 46.91},
    floors={"chance": {"test": {"i2t_r1": 2.0}}, "closed form": {"test": {"i2t_r1": 19.6}, "mean_recall": 38.7}},
)


def front_matter(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_facts_survive_saving_and_loading(tmp_path, model):
    save_model_directory(tmp_path / "model", model, CARD)
    card = load_model_directory(tmp_path / "model").card
    assert card.name == "Photos | of dogs"
    assert card.command == CARD.command
    assert card.data == {
        "manifest": "captions.jsonl",
        "records": 750,
        "splits": {"train": 600, "test": 150},
        "audit": {"leaks": 0},
    }
    assert card.training["tried"] == ["closed form", "residual MLP"]
    assert card.scores["test"] == {"i2t_r1": 25.5, "interval": [20.0, 31.0]}
    assert card.floors == CARD.floors
    assert card.towers == {
        "image": {"source": "test/pixels", "licence": "Apache-2.0"},
        "text": {"source": "test/letters", "licence": "MIT"},
    }
    assert card.versions == installed_versions()
    assert {"python", "vlcore", "torch"} <= set(card.versions)


def test_scores_stand_beside_their_floors(tmp_path, model):
    save_model_directory(tmp_path / "model", model, CARD)
    text = (tmp_path / "model" / "README.md").read_text()
    assert "| measure | value | floor: chance | floor: closed form |" in text
    assert "| test / i2t_r1 | 25.5 | 2 | 19.6 |" in text
    assert "| mean_recall | 46.91 |  | 38.7 |" in text
    assert "# Photos \\| of dogs" in text
    assert "vlcore align captions.jsonl -o model --seed 1" in text
    assert "| image | test/pixels | Apache-2.0 |" in text and "| text | test/letters | MIT |" in text
    assert "| splits / train | 600 |" in text


def test_front_matter_is_what_the_hub_reads(tmp_path, model):
    save_model_directory(tmp_path / "model", model, CARD)
    front = front_matter((tmp_path / "model" / "README.md").read_text())
    assert front["library_name"] == "vlcore"
    assert front["pipeline_tag"] == "zero-shot-image-classification"
    assert (front["license"], front["license_name"]) == ("other", "licences-of-the-towers")
    model.text_encoder.licence = "Apache-2.0 (weights; wheel MIT)"
    save_model_directory(tmp_path / "model", model, CARD)
    front = front_matter((tmp_path / "model" / "README.md").read_text())
    assert front["license"] == "apache-2.0" and "license_name" not in front


def test_the_hubs_own_reader_understands_it(tmp_path, model):
    from huggingface_hub import ModelCard as HubCard

    save_model_directory(tmp_path / "model", model, CARD)
    data = HubCard.load(tmp_path / "model" / "README.md", ignore_metadata_errors=False).data
    assert data.library_name == "vlcore" and data.license == "other"


def test_a_flat_floor_and_no_scores_are_shown(tmp_path):
    text = ModelCard("A", scores={"mean_recall": 10.0}, floors={"mean_recall": 1.5}).render()
    assert "| measure | value | floor |" in text and "| mean_recall | 10 | 1.5 |" in text
    assert "Not evaluated." in ModelCard("A").render()


@pytest.mark.parametrize("name", ["A: b", "---", "naïve 医学", "a\nb", "#x", "'\"`", "{{ x }}"])
def test_any_name_can_be_read_back(tmp_path, name):
    path = tmp_path / "README.md"
    path.write_text(ModelCard(name, command=name).render(), encoding="utf-8")
    card = ModelCard.read(path)
    assert (card.name, card.command) == (name, name)


def test_values_that_are_not_plain_are_named():
    with pytest.raises(ConfigurationError, match=r"data\.splits\[1\]: object"):
        ModelCard("A", data={"splits": [1, object()]}).render()
    assert ModelCard("A", data={"path": Path("a/b"), "rows": np.arange(2)}).to_dict()["data"] == {
        "path": "a/b",
        "rows": [0, 1],
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# A card\n",
        "---\nname: x\n",
        "---\na: [\n---\n",
        "---\nvlcore: 5\n---\n",
        "---\nvlcore: {name: a, x: 1}\n---\n",
        "---\nvlcore: {name: 5}\n---\n",
        "---\nvlcore: {name: a, towers: 5}\n---\n",
        "---\nvlcore: {name: a, towers: {image: 5}}\n---\n",
    ],
)
def test_a_card_without_its_facts_is_an_error(saved, text):
    (saved / "README.md").write_text(text)
    with pytest.raises(ModelDirectoryError, match=r"README\.md"):
        load_model_directory(saved)
