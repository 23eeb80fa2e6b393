"""Released checkpoints: every tensor has its place, and the model computes what the tensors say."""

from __future__ import annotations

import json
import os
import sys
import types

import numpy as np
import pytest
import torch
from released_layout import GRID, HEADS, PATCH, PIXEL_LAYER, Reference, as_file, released_state

from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.hub.model_directory import ModelCard, load_model_directory, save_model_directory
from vlcore.retrieval.rerank import Reranker
from vlcore_medical.m3ae.converter import convert_checkpoint
from vlcore_medical.m3ae.positions import resize_positions
from vlcore_medical.m3ae.released_checkpoint import read_released_checkpoint

SIZE = GRID * PATCH


def converted(tmp_path, tokenizer, state, **options):
    return convert_checkpoint(read_released_checkpoint(as_file(tmp_path / "m3ae.ckpt", state)), tokenizer, **options)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 28, (3, 9), generator=generator)
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    ids[0, 6:] = 1
    images = torch.randint(0, 256, (3, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    kept = torch.tensor([[0, 4], [8, 3], [5, 6]])
    return ids, mask, images, kept


def test_logits_are_those_of_an_independent_reference(tmp_path, tokenizer, batch):
    state = released_state()
    model, _ = converted(tmp_path, tokenizer, state)
    reference, (ids, mask, images, kept) = Reference(state), batch
    model = model.double()
    stream = model.network.stream
    pixels = model.image_encoder.normalise(images)
    image, text = reference.image(pixels), reference.text(ids, mask.bool())
    words, patches = reference.fuse(text, mask.bool(), image)
    with torch.no_grad():
        ours_text, ours_image = stream.read_text(ids, mask), stream.read_image(model.encode_images(images))
        real = mask.bool()
        assert torch.allclose(ours_text.tokens[real], text[real], atol=1e-9)
        assert torch.allclose(ours_image.tokens, image, atol=1e-9)
        fused = stream.fuse(ours_text, ours_image)
        assert torch.allclose(model.network.guess_words(fused.text[real]), reference.words(words)[real], atol=1e-8)
        expected = reference.linear("itm_head.fc", reference.pair(words, patches))
        assert expected.std() > 0.01
        assert torch.allclose(model.network.match(ours_text, ours_image), expected, atol=1e-8)
        _, seen = reference.fuse(text, mask.bool(), reference.image(pixels, kept), PIXEL_LAYER)
        guessed = model.network.guess_pixels(ours_text, model.read_kept(images, kept), kept)
        assert torch.allclose(guessed, reference.pixels(seen, kept), atol=1e-8)


def test_single_precision_stays_within_a_ten_thousandth(tmp_path, tokenizer, batch):
    state = released_state()
    model, _ = converted(tmp_path, tokenizer, state)
    reference, (ids, mask, images, _) = Reference(state), batch
    pixels = model.image_encoder.normalise(images).double()
    words, patches = reference.fuse(reference.text(ids, mask.bool()), mask.bool(), reference.image(pixels))
    with torch.no_grad():
        text = model.network.stream.read_text(ids, mask)
        logits = model.network.match(text, model.network.stream.read_image(model.encode_images(images)))
    expected = reference.linear("itm_head.fc", reference.pair(words, patches))
    assert torch.allclose(logits.double(), expected, atol=1e-4)


@pytest.mark.parametrize("head", ["vqa", "cls"])
def test_answers_and_ranking_scores_too(tmp_path, tokenizer, batch, head):
    state = released_state({head, "irtr"})
    answers = ["yes", "no", "left", "right", "lung"]
    model, _ = converted(tmp_path, tokenizer, state, answers=answers)
    assert model.network.heads == ("ranking", "answers") and model.network.answers == tuple(answers)
    reference, (ids, mask, images, _) = Reference(state), batch
    model = model.double()
    pixels = model.image_encoder.normalise(images)
    pair = reference.pair(*reference.fuse(reference.text(ids, mask.bool()), mask.bool(), reference.image(pixels)))
    with torch.no_grad():
        text = model.network.stream.read_text(ids, mask)
        image = model.network.stream.read_image(model.encode_images(images))
        assert torch.allclose(model.network.answer_logits(text, image), reference.answers(pair, head), atol=1e-8)
        scores = model.network.match(text, image)
    assert torch.allclose(scores[:, 1] - scores[:, 0], reference.linear("irtr_head", pair)[:, 0], atol=1e-8)


def test_every_tensor_is_mapped_or_dropped_with_a_reason(tmp_path, tokenizer):
    state = released_state({*HEADS, "irtr", "vqa"})
    model, report = converted(tmp_path, tokenizer, state, answers=list("abcde"))
    assert set(report.mapped) | set(report.dropped) == set(state)
    assert not set(report.mapped) & set(report.dropped)
    filled = [name for names in report.mapped.values() for name in names]
    assert sorted(filled) == sorted(model.state_dict())
    dropped = ["vision_encoder.token_embedding.weight", "vision_encoder.positional_embedding"]
    dropped += ["vision_encoder.ln_final.weight", "vision_encoder.ln_final.bias"]
    dropped += ["language_encoder.embeddings.position_ids"]
    dropped += ["language_encoder.pooler.dense.weight", "language_encoder.pooler.dense.bias"]
    assert sorted(report.dropped) == sorted(dropped) and all(report.dropped.values())
    assert report.computed == {}
    joint = "vision_encoder.visual.transformer.resblocks.1.attn.in_proj_weight"
    assert report.mapped[joint] == [
        f"image_encoder.layers.1.attention.{part}.weight" for part in ("query", "key", "value")
    ]
    report.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["mapped"] == report.mapped


def test_it_becomes_a_model_directory_that_search_can_rerank_with(tmp_path, tokenizer, batch):
    model, _ = converted(tmp_path, tokenizer, released_state())
    card = ModelCard(name="m3ae", command="", data={}, training={}, scores={})
    save_model_directory(tmp_path / "model", model, card)
    loaded = load_model_directory(tmp_path / "model").model
    ids, mask, images, _ = batch
    for one in (model, loaded):
        one.eval()
    with torch.no_grad():
        first, second = (
            one.network.match(
                one.network.stream.read_text(ids, mask), one.network.stream.read_image(one.encode_images(images))
            )
            for one in (model, loaded)
        )
    assert torch.equal(first, second)
    reranker = Reranker.load(tmp_path / "model", "cpu")
    pictures = [image.permute(1, 2, 0).numpy() for image in images]
    rows = np.arange(3)
    found = reranker.scores(["a dog"], reranker.read_images(pictures), np.zeros_like(rows), rows)
    assert found.shape == (3,)


def test_another_image_size_interpolates_positions(tmp_path, tokenizer):
    state = released_state()
    model, report = converted(tmp_path, tokenizer, state, image_size=5 * PATCH)
    assert model.image_encoder.tokens == 26
    name = "vision_encoder.visual.positional_embedding"
    assert report.changed[name] == "interpolated from 9 patches to 25"
    assert "another image size" in report.dropped["mim_head.decoder_pos_embed"]
    assert list(report.computed) == ["network.masked_image.position"]
    found = model.image_encoder.position.detach()
    assert torch.equal(found[0], state[name][0])
    # The middle of an odd grid stays the middle.
    assert torch.allclose(found[1 + 12], state[name][1 + 4], atol=1e-6)
    assert torch.equal(resize_positions(state[name], 9), state[name])


def test_what_is_unknown_missing_or_misshapen_is_refused(tmp_path, tokenizer):
    state = released_state()
    with pytest.raises(ModelDirectoryError, match="1 tensors that no M3AE has, such as moco_queue"):
        converted(tmp_path, tokenizer, {**state, "moco_queue": torch.zeros(2)})
    name = "multi_modal_vision_layers.1.output.dense.bias"
    without = {key: value for key, value in state.items() if key != name}
    with pytest.raises(ModelDirectoryError, match=r"nothing for 'network.stream.image_fusion.1.contract.bias'"):
        converted(tmp_path, tokenizer, without)
    with pytest.raises(ModelDirectoryError, match=r"would be \[3\], needed \[128\]"):
        converted(tmp_path, tokenizer, {**state, name: torch.zeros(3)})
    without = {key: value for key, value in state.items() if ".layer.0." not in key}
    with pytest.raises(ModelDirectoryError, match=r"layers language_encoder.encoder.layer.N are \[1\]"):
        converted(tmp_path, tokenizer, without)
    swin = {key.replace("vision_encoder.visual", "vision_encoder.layers"): value for key, value in state.items()}
    with pytest.raises(ModelDirectoryError, match="Swin variant is not supported"):
        converted(tmp_path, tokenizer, swin)
    del state["modality_type_embeddings.weight"]
    with pytest.raises(ModelDirectoryError, match=r"nothing for .network\.stream\.kind\.weight."):
        converted(tmp_path, tokenizer, state)


def test_answers_have_to_be_given_and_as_many(tmp_path, tokenizer):
    with pytest.raises(ConfigurationError, match=r"chooses among 5 answers and 0 were given.*first occurrence"):
        converted(tmp_path, tokenizer, released_state({"vqa"}))
    with pytest.raises(ConfigurationError, match="chooses among 0 answers and 2 were given"):
        converted(tmp_path, tokenizer, released_state(), answers=["a", "b"])
    with pytest.raises(ModelDirectoryError, match="both vqa_head and cls_head"):
        converted(tmp_path, tokenizer, released_state({"vqa", "cls"}), answers=["a"])


def test_lightnings_callback_classes_are_read_and_other_classes_are_not(tmp_path, monkeypatch):
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = types.ModuleType(name)
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": name})
    for parent in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    monkeypatch.setitem(sys.modules, name, module)
    state = released_state()
    callbacks = {module.ModelCheckpoint: {"best_model_score": torch.tensor(0.5), "best_model_path": "x"}}
    path = as_file(tmp_path / "callbacks.ckpt", state, callbacks=callbacks)
    monkeypatch.undo()
    checkpoint = read_released_checkpoint(path)
    assert set(checkpoint.state) == set(state) and checkpoint.settings["max_text_len"] == 16

    evil = as_file(tmp_path / "evil.ckpt", state, extra=_Runs(tmp_path / "made"))
    with pytest.raises(ModelDirectoryError, match="reading that would run code, so it is refused"):
        read_released_checkpoint(evil)
    assert not (tmp_path / "made").exists()


class _Runs:
    """Makes a folder where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_files_that_are_no_checkpoint_are_told(tmp_path):
    with pytest.raises(ModelDirectoryError, match="There is no checkpoint"):
        read_released_checkpoint(tmp_path / "none.ckpt")
    path = tmp_path / "cut.ckpt"
    path.write_bytes(as_file(tmp_path / "whole.ckpt", released_state()).read_bytes()[:5000])
    with pytest.raises(ModelDirectoryError, match="cut off, or is no checkpoint"):
        read_released_checkpoint(path)
    torch.save({"weights": {}}, path)
    with pytest.raises(ModelDirectoryError, match="has no 'state_dict' of tensors"):
        read_released_checkpoint(path)
