"""Pretrained text towers of BERT's family in a fusion encoder."""

from __future__ import annotations

import pytest
import torch

from small_bert import PIECES, save_tower
from vlcore.encoders.token_encoder import TokenEncoder, grid_boxes
from vlcore.encoders.transformers_text import load_text
from vlcore.encoders.vocabulary import Vocabulary
from vlcore.errors import ConfigurationError
from vlcore.models.fusion.network import STREAMS
from vlcore.models.fusion.text_weights import load_text_weights, shape_of


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_words_read_alone_are_the_towers_own_states(family, tmp_path):
    tower = load_text(save_tower(tmp_path, family)).eval()
    tokens = tower.tokenizer(["a dog running in snow", "dogs"])
    states = tower.network(
        input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, output_hidden_states=True
    ).hidden_states
    real = tokens.attention_mask.bool()
    cross = STREAMS["cross_stream"](5, shape_of(tower)).eval()
    load_text_weights(cross, tower)
    assert torch.allclose(cross.text_embedding(tokens.input_ids)[real], states[0][real], atol=1e-5)
    read = cross.read_text(tokens.input_ids, tokens.attention_mask)
    assert torch.allclose(read.tokens[real], states[2][real], atol=1e-4)
    single = STREAMS["single_stream"](5, shape_of(tower)).eval()
    load_text_weights(single, tower)
    alone, mask = single.text_embedding(tokens.input_ids), real
    for layer in single.text_layers():
        alone = layer(alone, mask)
    assert torch.allclose(alone[real], states[4][real], atol=1e-4)


def test_the_first_layers_of_a_tower_can_be_taken(tmp_path):
    tower = load_text(save_tower(tmp_path, "bert"))
    shape = shape_of(tower, layers=2, dropout=0.0)
    assert (shape.layers, shape.dropout, shape.positions, shape.vocabulary) == (2, 0.0, 32, len(PIECES))
    stream = STREAMS["split_stream"](5, shape)
    load_text_weights(stream, tower)
    weight = tower.network.encoder.layer[1].intermediate.dense.weight
    assert torch.equal(stream.text_layers()[1].expand.weight, weight)
    with pytest.raises(ConfigurationError, match=r"layers=9: .* has 4; choose 2 to 4"):
        shape_of(tower, layers=9)


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("distilbert", {}, "is of the family 'distilbert'; a fusion encoder takes the weights of bert"),
        ("bert", {"hidden_act": "relu"}, "has the activation 'relu'; only gelu is supported"),
    ],
)
def test_other_towers_are_refused(family, options, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        shape_of(load_text(save_tower(tmp_path, family, **options)))


def test_the_vocabulary_knows_words_masks_and_specials(tmp_path):
    tower = load_text(save_tower(tmp_path, "bert"))
    vocabulary = Vocabulary.of(tower.tokenizer, "test")
    assert (vocabulary.size, vocabulary.mask_id, vocabulary.special_ids) == (len(PIECES), 4, (0, 1, 2, 3, 4))
    assert [piece for piece, begins in zip(PIECES, vocabulary.begins_word, strict=True) if not begins] == [
        "##s",
        "##ning",
    ]


def test_a_vocabulary_without_a_mask_is_refused(tmp_path):
    folder = save_tower(tmp_path, "bert")
    text = (folder / "tokenizer.json").read_text().replace("[MASK]", "[OTHER]")
    (folder / "tokenizer.json").write_text(text)
    (folder / "tokenizer_config.json").write_text(
        '{"pad_token": "[PAD]", "tokenizer_class": "PreTrainedTokenizerFast"}'
    )
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    with pytest.raises(ConfigurationError, match="no mask token"):
        Vocabulary.of(load_text(folder).tokenizer, "test")


def test_tokens_of_a_tower_are_cells_of_its_grid():
    boxes = grid_boxes(4)
    assert boxes is not None
    assert boxes.tolist() == [[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]]
    assert grid_boxes(6) is None


@pytest.mark.parametrize(
    ("architecture", "tokens", "width"), [("vit_tiny_patch16_224", 196, 192), ("resnet10t", 49, 512)]
)
def test_patches_and_cells_become_tokens_without_class_tokens(architecture, tokens, width):
    from vlcore.encoders.timm import TimmEncoder
    from vlcore.types import ImagePreprocess

    tower = TimmEncoder(architecture, ImagePreprocess((224, 224)))
    encoder = TokenEncoder(tower).eval()
    assert (encoder.tokens, encoder.token_width, encoder.width) == (tokens, width, tokens * width)
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    with torch.no_grad():
        visual = encoder.unflatten(encoder(images).pooled)
        expected = tower.eval()(images).tokens
    assert expected is not None
    assert torch.equal(visual.features, expected[:, -tokens:])
    assert visual.boxes is not None and visual.boxes.shape == (2, tokens, 4) and visual.mask.all()


def test_a_tower_without_tokens_is_refused():
    from vlcore.encoders.base import ImageEncoder
    from vlcore.types import EncoderOutput, ImagePreprocess

    class Pooled(ImageEncoder):
        def __init__(self):
            super().__init__()
            self.preprocess, self.source = ImagePreprocess((8, 8)), "test/pooled"
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def blocks(self):
            return []

        def config(self):
            return {}

        @classmethod
        def from_config(cls, config, preprocess):
            return cls()

        def encode(self, pixels):
            return EncoderOutput(None, pixels.mean((2, 3)))

    with pytest.raises(ConfigurationError, match="test/pooled gives one vector per image and no tokens"):
        TokenEncoder(Pooled())


def test_vocabularies_that_mark_blanks_know_where_words_begin():
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    from vlcore.encoders.tokenizer import FastTokenizer, TokenizerSettings

    pieces = {"<pad>": 0, "<mask>": 1, "Ġdog": 2, "s": 3, "Ġa": 4, "d": 5}
    backend = Tokenizer(models.BPE(pieces, [], unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel()
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([transformers.AddedToken(name, special=True) for name in ("<pad>", "<mask>")])
    vocabulary = Vocabulary.of(FastTokenizer(backend, TokenizerSettings(8, 0)), "test")
    assert vocabulary.mask_id == 1 and vocabulary.special_ids == (0, 1)
    assert [number for number, begins in enumerate(vocabulary.begins_word) if begins] == [2, 4]
    plain = Tokenizer(models.WordLevel({"[MASK]": 0, "a": 1}, unk_token="[MASK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    assert Vocabulary.of(FastTokenizer(plain, TokenizerSettings(8, 0)), "test").begins_word is None
