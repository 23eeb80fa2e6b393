"""A head of a task on towers: saved whole, loaded bit-equal, and never taken for a model to search with."""

import pytest
import torch
import yaml
from tiny_model import PREPROCESS, LetterTokenizer, NotATower, TinyImageEncoder, TinyTaskHead, TinyTextEncoder

import vlcore
from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.hub.model_directory import ModelCard, load_model_directory, save_model_directory
from vlcore.models.headed_towers import HeadedTowers

CARD = ModelCard("Answers", purpose="Answers questions: vlcore medical ask.", scores={"test": {"accuracy": 40.0}})


def headed(image=True, text=True):
    torch.manual_seed(1)
    return HeadedTowers(
        TinyImageEncoder(6, PREPROCESS) if image else None,
        TinyTextEncoder(5, LetterTokenizer("abc ")) if text else None,
        TinyTaskHead([6] * image + [5] * text, ["no", "yes"]),
    ).eval()


def logits(model):
    features = []
    if model.image_encoder is not None:
        images = torch.randint(0, 256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
        features.append(model.image_encoder(images).pooled)
    if model.text_encoder is not None:
        tokens = model.text_encoder.tokenizer(["a cab", "b"])
        features.append(model.text_encoder(tokens.input_ids, tokens.attention_mask).pooled)
    return model.head(*features)


@pytest.mark.parametrize(("image", "text"), [(True, True), (True, False), (False, True)])
def test_what_is_loaded_answers_as_what_was_saved(tmp_path, image, text):
    model = headed(image, text)
    save_model_directory(tmp_path / "model", model, CARD)
    loaded = load_model_directory(tmp_path / "model")
    assert torch.equal(logits(loaded.model), logits(model))
    assert loaded.model.head.names == ["no", "yes"]
    assert (loaded.model.image_encoder is None, loaded.model.text_encoder is None) == (not image, not text)
    sides = {"image": image, "text": text}
    assert set(loaded.card.towers) == {side for side, there in sides.items() if there}
    # Saved again, it is the same model.
    assert save_model_directory(tmp_path / "again", loaded.model, CARD) == loaded.fingerprint


def test_a_head_needs_a_tower():
    with pytest.raises(ConfigurationError, match="give an image tower, a text tower, or both"):
        headed(image=False, text=False)


def test_the_card_tells_the_purpose_and_not_how_to_search(tmp_path):
    save_model_directory(tmp_path / "model", headed(), CARD)
    text = (tmp_path / "model" / "README.md").read_text()
    assert "Answers questions: vlcore medical ask. Made with vlcore." in text
    assert "search" not in text and "retrieval" not in text and "zero-shot" not in text
    assert load_model_directory(tmp_path / "model").card.purpose == CARD.purpose


def test_it_is_no_model_to_search_with(tmp_path):
    save_model_directory(tmp_path / "model", headed(), CARD)
    with pytest.raises(ConfigurationError, match=r"another task .* Answers questions: vlcore medical ask\."):
        vlcore.load(tmp_path / "model")


def test_a_head_of_another_kind_is_refused(tmp_path, monkeypatch):
    model = headed()
    model.head = NotATower()
    model.head.config = dict
    with pytest.raises(ConfigurationError, match="not a kind of TaskHead"):
        save_model_directory(tmp_path / "model", model, CARD)
    save_model_directory(tmp_path / "model", headed(), CARD)
    config = yaml.safe_load((tmp_path / "model" / "config.yaml").read_text())
    assert set(config) == {"format", "model", "image_encoder", "text_encoder", "head"}
    del config["head"]
    (tmp_path / "model" / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ModelDirectoryError, match=r"config\.yaml was changed"):
        load_model_directory(tmp_path / "model")
