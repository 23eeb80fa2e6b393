from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import transformers

from vlcore.encoders import build_text_encoder
from vlcore.encoders.text_pooling import POOLING_MODES, pool_tokens
from vlcore.encoders.transformers_text import TransformersTextEncoder, load_text
from vlcore.errors import ConfigurationError, ModelDirectoryError, VlcoreError


def test_mean_of_real_tokens_equals_full_padding(folders, texts):
    encoder = build_text_encoder(f"transformers/{folders['bert']}")
    model = transformers.BertModel.from_pretrained(folders["bert"]).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders["bert"])
    full = tokenizer(texts, padding="max_length", max_length=24, return_tensors="pt")
    batch = encoder.tokenizer(texts)
    assert batch.input_ids.shape[1] < 24
    with torch.no_grad():
        states = model(input_ids=full["input_ids"], attention_mask=full["attention_mask"]).last_hidden_state.double()
        expected = torch.stack(
            [row[mask == 1].mean(dim=0) for row, mask in zip(states, full["attention_mask"], strict=True)]
        )
        found = encoder(batch.input_ids, batch.attention_mask).pooled
    torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=1e-5)


def test_long_texts_are_cut_and_flagged(folders):
    encoder = build_text_encoder(f"transformers/{folders['bert']}")
    assert encoder.context_length == 24
    batch = encoder.tokenizer(["cat " * 22, "cat " * 23, "cat"])
    assert batch.truncated.tolist() == [False, True, False]
    assert batch.input_ids.shape == (3, 24)
    # The end token survives the cut.
    assert batch.input_ids[1, -1] == batch.input_ids[0, -1] == 3


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_pooling_equals_a_loop_over_texts(mode):
    states = torch.randn(4, 6, 5, dtype=torch.float64)
    lengths = [6, 1, 3, 4]
    mask = torch.tensor([[int(position < length) for position in range(6)] for length in lengths])
    rows = []
    for row, length in zip(states, lengths, strict=True):
        real = row[:length]
        weights = torch.arange(1, length + 1, dtype=torch.float64)[:, None]
        rows.append(
            {
                "cls": real[0],
                "max": real.max(dim=0).values,
                "mean": real.mean(dim=0),
                "mean_sqrt_len_tokens": real.sum(dim=0) / length**0.5,
                "weightedmean": (real * weights).sum(dim=0) / weights.sum(),
                "lasttoken": real[-1],
            }[mode]
        )
    torch.testing.assert_close(pool_tokens(states, mask, [mode]), torch.stack(rows))


def test_rebuilt_from_plain_values(folders, texts, tmp_path):
    encoder = build_text_encoder(f"transformers/{folders['bert']}")
    encoder.tokenizer.save(tmp_path)
    rebuilt = TransformersTextEncoder.from_config(json.loads(json.dumps(encoder.config())), tmp_path)
    rebuilt.load_state_dict(encoder.state_dict())
    assert rebuilt.fingerprint() == encoder.fingerprint()
    batch = rebuilt.tokenizer(texts)
    with torch.no_grad():
        torch.testing.assert_close(
            rebuilt.eval().pool(batch.input_ids, batch.attention_mask),
            encoder.pool(batch.input_ids, batch.attention_mask),
        )


def test_fingerprint_does_not_depend_on_the_folder(folders, copy_of):
    moved = build_text_encoder(f"transformers/{copy_of('bert')}")
    assert moved.fingerprint() == build_text_encoder(f"transformers/{folders['bert']}").fingerprint()


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_incomplete_folder_names_the_missing_file(copy_of, missing):
    folder = copy_of("bert")
    (folder / missing).unlink()
    with pytest.raises(ModelDirectoryError, match=missing):
        build_text_encoder(f"transformers/{folder}")


def test_wrong_layers_are_named(copy_of):
    folder = copy_of("bert")
    config = json.loads((folder / "config.json").read_text())
    for layers, message in ((4, r"missing encoder\.layer\.3\."), (2, r"unexpected encoder\.layer\.2\.")):
        (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layers}))
        with pytest.raises(ModelDirectoryError, match=message):
            build_text_encoder(f"transformers/{folder}")


def test_wrong_shapes_are_named(copy_of):
    folder = copy_of("bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 40}))
    with pytest.raises(ModelDirectoryError, match=r"wrong shapes .*intermediate\.dense"):
        build_text_encoder(f"transformers/{folder}")


def test_unknown_weights_are_named(copy_of):
    from safetensors.torch import load_file, save_file

    folder = copy_of("bert")
    state = load_file(folder / "model.safetensors")
    save_file({**state, "stowaway.weight": torch.zeros(2)}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelDirectoryError, match=r"unexpected stowaway\.weight"):
        build_text_encoder(f"transformers/{folder}")


def test_truncated_weights_are_refused(copy_of):
    folder = copy_of("bert")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelDirectoryError, match="cannot be loaded"):
        build_text_encoder(f"transformers/{folder}")


class Payload:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_malicious_pickle_is_not_run(copy_of, tmp_path):
    folder = copy_of("bert")
    (folder / "model.safetensors").unlink()
    torch.save({"embeddings.word_embeddings.weight": Payload(tmp_path / "owned")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelDirectoryError):
        build_text_encoder(f"transformers/{folder}")
    assert not (tmp_path / "owned").exists()


def test_code_of_a_repository_is_not_run(copy_of, tmp_path):
    folder = copy_of("bert")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "custom_bert", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"import os; os.mkdir({str(tmp_path / 'owned')!r})\n")
    with pytest.raises(ModelDirectoryError, match="custom_bert"):
        build_text_encoder(f"transformers/{folder}")
    assert not (tmp_path / "owned").exists()


def test_tokeniser_of_a_larger_vocabulary_is_refused(copy_of):
    folder = copy_of("bert")
    text = (folder / "tokenizer.json").read_text()
    values = json.loads(text)
    values["model"]["vocab"]["elephant"] = 500
    (folder / "tokenizer.json").write_text(json.dumps(values))
    with pytest.raises(ModelDirectoryError, match=r"ids up to 500 .* has 24 rows"):
        build_text_encoder(f"transformers/{folder}")


def test_positions_of_roberta_count_from_behind_the_padding(tmp_path):
    config = transformers.RobertaConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=20,
        pad_token_id=1,
    )
    transformers.RobertaModel(config).save_pretrained(tmp_path)
    transformers.ByT5Tokenizer(extra_ids=0).save_pretrained(tmp_path)
    encoder = build_text_encoder(f"transformers/{tmp_path}")
    assert encoder.context_length == 18
    batch = encoder.tokenizer(["x" * 50])
    with torch.no_grad():
        assert encoder.pool(batch.input_ids, batch.attention_mask).isfinite().all()


def test_encoder_of_t5_and_a_python_tokeniser(tmp_path, texts):
    config = transformers.T5Config(vocab_size=300, d_model=32, d_kv=16, d_ff=32, num_layers=2, num_heads=2)
    transformers.T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    transformers.ByT5Tokenizer(extra_ids=0).save_pretrained(tmp_path / "t5")
    encoder = build_text_encoder(f"transformers/{tmp_path / 't5'}")
    assert len(encoder.blocks()) == 2
    encoder.tokenizer.save(tmp_path / "tokenizer")
    rebuilt = TransformersTextEncoder.from_config(encoder.config(), tmp_path / "tokenizer")
    rebuilt.load_state_dict(encoder.state_dict())
    assert rebuilt.fingerprint() == encoder.fingerprint()
    first, second = encoder.tokenizer(texts), rebuilt.tokenizer(texts)
    assert torch.equal(first.input_ids, second.input_ids)


def test_text_half_alone_is_refused(folders, tmp_path):
    model = transformers.CLIPModel.from_pretrained(folders["clip"])
    transformers.CLIPTextModel(model.config.text_config).save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="whole two-tower model"):
        build_text_encoder(f"transformers/{tmp_path}")


def test_missing_folder_and_hub_id(no_network):
    with pytest.raises(ConfigurationError, match="there is no folder"):
        build_text_encoder("transformers//no/such/folder")
    with pytest.raises(VlcoreError, match="cannot be fetched"):
        build_text_encoder("transformers/nobody/nothing")


def test_layers_are_pooled_and_appended(folders, texts, tmp_path):
    encoder = load_text(Path(folders["bert"]), layers=(0, 2, 1)).eval()
    model = transformers.BertModel.from_pretrained(folders["bert"]).eval()
    batch = encoder.tokenizer(texts)
    with torch.no_grad():
        states = model(**batch_inputs(batch), output_hidden_states=True).hidden_states
        expected = [
            torch.cat([states[layer][row, : mask.sum()].double().mean(dim=0) for layer in (0, 2, 1)])
            for row, mask in enumerate(batch.attention_mask)
        ]
        found = encoder(batch.input_ids, batch.attention_mask)
    torch.testing.assert_close(found.pooled.double(), torch.stack(expected), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.tokens, states[-1])
    assert encoder.width == 3 * model.config.hidden_size == found.pooled.shape[1]
    encoder.tokenizer.save(tmp_path)
    rebuilt = TransformersTextEncoder.from_config(json.loads(json.dumps(encoder.config())), tmp_path)
    rebuilt.load_state_dict(encoder.state_dict())
    assert rebuilt.fingerprint() == encoder.fingerprint()
    assert load_text(Path(folders["bert"]), layers=(0, 1, 2)).fingerprint() != encoder.fingerprint()


@pytest.mark.parametrize("layers", [(), (-1,), (0, 99)])
def test_layers_that_are_not_there_are_refused(folders, layers):
    with pytest.raises(ConfigurationError, match=r"has layers 1 to \d, and 0 for its word embeddings"):
        load_text(Path(folders["bert"]), layers=layers)


def batch_inputs(batch):
    return {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
