from __future__ import annotations

import json
import math
import os

import pytest
import torch

from vlcore.encoders import build_dual_encoder, build_image_encoder, build_text_encoder
from vlcore.encoders.batching import encode_texts
from vlcore.errors import ConfigurationError, ModelDirectoryError

transform = pytest.importorskip("open_clip.transform", reason='needs pip install "vlcore[open_clip]"')
open_clip = pytest.importorskip("open_clip", reason='needs pip install "vlcore[open_clip]"')


def reference(folder):
    name = f"local-dir:{folder}"
    model = open_clip.create_model(name).eval()
    return model, open_clip.get_tokenizer(name)


@pytest.mark.parametrize("name", ["open_clip", "open_clip_siglip"])
def test_towers_equal_those_of_open_clip(folders, name, texts, images):
    towers = build_dual_encoder(f"open_clip/{folders[name]}")
    model, tokenizer = reference(folders[name])
    batch, pixels = towers.text.tokenizer(texts), images((32, 32))
    normalise = transform.image_transform_v2(
        transform.PreprocessCfg(**model.visual.preprocess_cfg), is_train=False
    ).transforms[-1]
    with torch.no_grad():
        expected_text = model.encode_text(tokenizer(texts))
        expected_image = model.encode_image(normalise(pixels.float() / 255))
        found = towers.text(batch.input_ids, batch.attention_mask)
        torch.testing.assert_close(found.pooled, expected_text, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            towers.text.pool(batch.input_ids, batch.attention_mask), expected_text, atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(towers.image(pixels).pooled, expected_image, atol=1e-5, rtol=1e-5)
    assert towers.logit_scale == pytest.approx(math.exp(float(model.logit_scale.detach())))
    assert (towers.logit_bias is None) == (name == "open_clip")


def test_clip_text_is_computed_at_its_own_length(folders, texts):
    text = build_text_encoder(f"open_clip/{folders['open_clip']}")
    batch = text.tokenizer(texts)
    assert batch.input_ids.shape[1] == 14
    with torch.no_grad():
        assert text(batch.input_ids, batch.attention_mask).tokens.shape == (5, 14, 32)


def test_siglip_text_has_its_full_length(folders, texts):
    text = build_text_encoder(f"open_clip/{folders['open_clip_siglip']}")
    batch = text.tokenizer(texts)
    assert batch.input_ids.shape[1] < 16
    with torch.no_grad():
        assert text(batch.input_ids, batch.attention_mask).tokens.shape == (5, 16, 32)


def test_many_texts_equal_open_clip(folders):
    text = build_text_encoder(f"open_clip/{folders['open_clip']}")
    model, tokenizer = reference(folders["open_clip"])
    prompts = [
        f"a {kind} of the {size} {thing}" for kind in ("photo", "map") for size in ("big", "") for thing in "abc"
    ]
    prompts += [*prompts[:3], "", "word " * 100, "Caffè & latte"]
    with torch.no_grad():
        expected = model.encode_text(tokenizer(prompts))
    found = encode_texts(text, prompts, token_budget=64)
    torch.testing.assert_close(torch.from_numpy(found.rows), expected, atol=1e-5, rtol=1e-5)
    assert found.truncated == 1


@pytest.mark.parametrize("name", ["open_clip", "open_clip_siglip"])
def test_rebuilt_from_plain_values(folders, name, texts, tmp_path):
    towers = build_dual_encoder(f"open_clip/{folders[name]}")
    towers.text.tokenizer.save(tmp_path)
    image = type(towers.image).from_config(json.loads(json.dumps(towers.image.config())), towers.image.preprocess)
    text = type(towers.text).from_config(json.loads(json.dumps(towers.text.config())), tmp_path)
    image.load_state_dict(towers.image.state_dict())
    text.load_state_dict(towers.text.state_dict())
    assert image.fingerprint() == towers.image.fingerprint()
    assert text.fingerprint() == towers.text.fingerprint()
    first, second = text.tokenizer(texts), towers.text.tokenizer(texts)
    assert torch.equal(first.input_ids, second.input_ids)


def test_missing_preprocessing_is_an_error_not_a_default(copy_of):
    """open_clip issue 1068: a folder without preprocess_cfg silently got the preprocessing of another model."""
    folder = copy_of("open_clip")
    config = json.loads((folder / "open_clip_config.json").read_text())
    del config["preprocess_cfg"]
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelDirectoryError, match="has no preprocess_cfg"):
        build_image_encoder(f"open_clip/{folder}")


@pytest.mark.parametrize("key", ["mean", "std"])
def test_incomplete_preprocessing_is_an_error(copy_of, key):
    folder = copy_of("open_clip")
    config = json.loads((folder / "open_clip_config.json").read_text())
    del config["preprocess_cfg"][key]
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelDirectoryError, match=f"preprocess_cfg lacks {key}"):
        build_image_encoder(f"open_clip/{folder}")


@pytest.mark.parametrize("missing", ["open_clip_config.json", "open_clip_model.safetensors"])
def test_incomplete_folder_names_the_missing_file(copy_of, missing):
    folder = copy_of("open_clip")
    (folder / missing).unlink()
    with pytest.raises(ModelDirectoryError, match=missing):
        build_dual_encoder(f"open_clip/{folder}")


def test_missing_tokeniser_is_an_error_not_clips_own(copy_of):
    folder = copy_of("open_clip_siglip")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelDirectoryError, match=r"tokenizer\.json is missing"):
        build_text_encoder(f"open_clip/{folder}")


def test_size_of_the_tower_wins_over_the_one_beside_it(copy_of):
    folder = copy_of("open_clip")
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["size"] = 224
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    assert build_image_encoder(f"open_clip/{folder}").preprocess.size == (32, 32)


def test_weights_of_another_architecture_are_refused(copy_of):
    folder = copy_of("open_clip")
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["layers"] = 2
    config["model_cfg"]["vision_cfg"]["patch_size"] = 8
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelDirectoryError, match=r"unexpected transformer\.resblocks\.2\."):
        build_text_encoder(f"open_clip/{folder}")
    with pytest.raises(ModelDirectoryError, match=r"wrong shapes conv1\.weight \(\(32, 3, 16, 16\) in the file"):
        build_image_encoder(f"open_clip/{folder}")


class Payload:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_malicious_pickle_is_not_run(copy_of, tmp_path):
    folder = copy_of("open_clip")
    (folder / "open_clip_model.safetensors").unlink()
    torch.save({"state_dict": Payload(tmp_path / "owned")}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(ModelDirectoryError, match="refused"):
        build_image_encoder(f"open_clip/{folder}")
    assert not (tmp_path / "owned").exists()


def test_harmless_pytorch_archive_is_read(copy_of, folders):
    from safetensors.torch import load_file

    folder = copy_of("open_clip")
    torch.save(load_file(folder / "open_clip_model.safetensors"), folder / "open_clip_pytorch_model.bin")
    (folder / "open_clip_model.safetensors").unlink()
    first = build_image_encoder(f"open_clip/{folder}")
    assert first.fingerprint() == build_image_encoder(f"open_clip/{folders['open_clip']}").fingerprint()


def test_text_tower_of_transformers(copy_of, folders, texts):
    """As BiomedCLIP: a BERT text tower whose configuration lies beside the weights."""
    from safetensors.torch import save_file

    folder = copy_of("bert")
    weights = folder / "model.safetensors"
    text = {"hf_model_name": str(folder), "hf_tokenizer_name": str(folder), "hf_proj_type": "mlp"}
    model_cfg = json.loads((folders["open_clip"] / "open_clip_config.json").read_text())
    model_cfg["model_cfg"]["text_cfg"] = {
        **text,
        "hf_pooler_type": "cls_last_hidden_state_pooler",
        "context_length": 24,
    }
    (folder / "open_clip_config.json").write_text(json.dumps(model_cfg))
    untrained = model_cfg["model_cfg"] | {
        "text_cfg": model_cfg["model_cfg"]["text_cfg"] | {"hf_model_pretrained": False}
    }
    library_model = open_clip.CustomTextCLIP(**untrained).eval()
    weights.unlink()
    save_file(
        {k: v.contiguous() for k, v in library_model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    encoder = build_text_encoder(f"open_clip/{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    batch = encoder.tokenizer(texts)
    assert batch.input_ids.shape[1] < 24
    with torch.no_grad():
        expected = library_model.encode_text(tokenizer(texts))
        torch.testing.assert_close(
            encoder(batch.input_ids, batch.attention_mask).pooled, expected, atol=1e-5, rtol=1e-5
        )
    assert len(encoder.blocks()) == 3


def test_unknown_release_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match="laion2b_s34b_b79k"):
        build_dual_encoder("open_clip/ViT-B-32/no_such_release")


@pytest.mark.filterwarnings("ignore:QuickGELU mismatch")
def test_named_release(folders, monkeypatch, texts):
    """`model/tag` goes through open_clip's own download; its activation wins over the configuration's."""
    weights = str(folders["open_clip"] / "open_clip_model.safetensors")
    config = json.loads((folders["open_clip"] / "open_clip_config.json").read_text())["model_cfg"]
    release = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "quick_gelu": True}
    for module in (open_clip.factory, open_clip):
        monkeypatch.setattr(module, "get_pretrained_cfg", lambda model, tag: dict(release))
        monkeypatch.setattr(module, "list_models", lambda: ["Tiny"])
        monkeypatch.setattr(module, "get_model_config", lambda name: json.loads(json.dumps(config)))
    monkeypatch.setattr(open_clip.factory, "download_pretrained", lambda *args, **kwargs: weights)
    towers = build_dual_encoder("open_clip/Tiny/best")
    assert towers.text.config()["quick_gelu"] is True
    assert towers.image.preprocess.mean == (0.5, 0.5, 0.5)
    model = open_clip.create_model("Tiny", pretrained="best", quick_gelu=True).eval()
    found = encode_texts(towers.text, texts).rows
    with torch.no_grad():
        expected = model.encode_text(open_clip.tokenize(texts))
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=1e-5)


def test_works_offline_with_sockets_blocked(folders, no_network, texts, images):
    for name in ("open_clip", "open_clip_siglip"):
        towers = build_dual_encoder(f"open_clip/{folders[name]}")
        assert encode_texts(towers.text, texts).rows.shape == (5, 24)
