from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from vlcore.encoders import build_text_encoder
from vlcore.encoders.batching import encode_texts
from vlcore.errors import ConfigurationError, ModelDirectoryError


@pytest.fixture
def library():
    return pytest.importorskip("sentence_transformers", reason="compares with sentence-transformers")


def write_folder(folder, pooling, *stages, prompts=None):
    """A folder as sentence-transformers lays it out, around a tiny BERT."""
    modules = [
        ("Transformer", ""),
        ("Pooling", "1_Pooling"),
        *((kind, f"{n}_{kind}") for n, kind in enumerate(stages, 2)),
    ]
    entries = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (kind, path) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(entries))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **pooling}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12, "do_lower_case": False}))
    if prompts:
        (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    for n, kind in enumerate(stages, 2):
        if kind == "Dense":
            from safetensors.torch import save_file

            place = folder / f"{n}_Dense"
            place.mkdir()
            settings = {"in_features": 32, "out_features": 10, "bias": True}
            settings["activation_function"] = "torch.nn.modules.activation.Tanh"
            (place / "config.json").write_text(json.dumps(settings))
            save_file(
                {"linear.weight": torch.randn(10, 32), "linear.bias": torch.randn(10)}, place / "model.safetensors"
            )
    return folder


MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


@pytest.mark.parametrize(
    ("pooling", "stages", "width"),
    [
        (MEAN, (), 32),
        (MEAN, ("Normalize",), 32),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ("Normalize",), 32),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}, (), 64),
        (MEAN, ("Dense", "Normalize"), 10),
        ({"pooling_mode": "lasttoken"}, ("Normalize",), 32),
    ],
)
def test_equals_sentence_transformers(library, copy_of, texts, pooling, stages, width):
    folder = write_folder(copy_of("bert"), pooling, *stages)
    texts = [*texts, "cat " * 30, ""]
    expected = library.SentenceTransformer(str(folder), device="cpu").encode(texts)
    encoder = build_text_encoder(f"sentence_transformers/{folder}")
    found = encode_texts(encoder, texts)
    np.testing.assert_allclose(found.rows, expected, atol=1e-5)
    assert encoder.width == width
    assert encoder.context_length == 12
    assert found.truncated == 2
    assert build_text_encoder(f"transformers/{folder}").fingerprint() == encoder.fingerprint()


def test_reads_what_the_library_itself_saves(library, copy_of, texts, tmp_path):
    model = library.SentenceTransformer(str(write_folder(copy_of("bert"), MEAN, "Normalize")), device="cpu")
    model.save(str(tmp_path / "saved"))
    found = encode_texts(build_text_encoder(f"sentence_transformers/{tmp_path / 'saved'}"), texts).rows
    np.testing.assert_allclose(found, model.encode(texts), atol=1e-5)


def test_default_prompt_is_put_before_every_text(library, copy_of, texts):
    prompts = {"prompts": {"q": "a photo of "}, "default_prompt_name": "q"}
    folder = write_folder(copy_of("bert"), MEAN, prompts=prompts)
    expected = library.SentenceTransformer(str(folder), device="cpu").encode(texts)
    found = encode_texts(build_text_encoder(f"sentence_transformers/{folder}"), texts).rows
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_rebuilt_from_plain_values(copy_of, texts, tmp_path):
    encoder = build_text_encoder(f"sentence_transformers/{write_folder(copy_of('bert'), MEAN, 'Dense', 'Normalize')}")
    encoder.tokenizer.save(tmp_path / "tokenizer")
    rebuilt = type(encoder).from_config(json.loads(json.dumps(encoder.config())), tmp_path / "tokenizer")
    rebuilt.load_state_dict(encoder.state_dict())
    np.testing.assert_allclose(encode_texts(rebuilt, texts).rows, encode_texts(encoder, texts).rows, atol=1e-6)
    assert rebuilt.fingerprint() == encoder.fingerprint()


@pytest.mark.parametrize("missing", ["modules.json", "1_Pooling/config.json", "2_Dense/config.json"])
def test_incomplete_folder_names_the_missing_file(copy_of, missing):
    folder = write_folder(copy_of("bert"), MEAN, "Dense")
    (folder / missing).unlink()
    with pytest.raises(ModelDirectoryError, match=missing):
        build_text_encoder(f"sentence_transformers/{folder}")


def test_missing_dense_weights_are_named(copy_of):
    folder = write_folder(copy_of("bert"), MEAN, "Dense")
    (folder / "2_Dense" / "model.safetensors").unlink()
    with pytest.raises(ModelDirectoryError, match=r"2_Dense has no weights"):
        build_text_encoder(f"sentence_transformers/{folder}")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"type": "custom_code.MyPooling"}, ConfigurationError, "never run"),
        ({"type": "sentence_transformers.models.LSTM"}, ConfigurationError, "not supported"),
        ({"path": "../elsewhere"}, ModelDirectoryError, "leads out"),
    ],
)
def test_modules_that_cannot_be_built(copy_of, change, error, message):
    folder = write_folder(copy_of("bert"), MEAN)
    entries = json.loads((folder / "modules.json").read_text())
    entries[1] |= change
    (folder / "modules.json").write_text(json.dumps(entries))
    with pytest.raises(error, match=message):
        build_text_encoder(f"sentence_transformers/{folder}")


def test_no_pooling_is_not_filled_in(copy_of):
    folder = write_folder(copy_of("bert"), {"pooling_mode_mean_tokens": False})
    with pytest.raises(ModelDirectoryError, match="names no pooling"):
        build_text_encoder(f"sentence_transformers/{folder}")
