from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from vlcore.encoders.clip_tokenizer import clip_tokenizer
from vlcore.encoders.tokenizer import FastTokenizer, TokenizerSettings, load_tokenizer
from vlcore.errors import ConfigurationError, ModelDirectoryError

open_clip = pytest.importorskip("open_clip", reason='needs pip install "vlcore[open_clip]"')

MERGES = Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")


# Contractions, blanks, entities, other scripts, emoji, ligatures, full-width letters, broken encodings.
ODD_TEXTS = [
    "a photo of a cat",
    "It's  a DOG's\tlife\n!!",
    "can't won't they'RE I'M we'll you'd x'S",
    "",
    "   ",
    "...",
    "12345 6 7",
    "na\u00efve caf\u00e9 \u2014 \u201cquotes\u201d \u2026",
    "&amp;lt;b&gt; AT&T",
    "\u6f22\u5b57 \u304b\u306a \ud55c\uad6d\uc5b4",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "\U0001f642\U0001f642 emoji\U0001f44d\U0001f3fd",
    "\ufb01ne \uff21\uff42\uff43",
    "snake_case (x+y)^2 = z",
    "\x00control\x1fchars\x7f",
    "sch\u00c3\u00b6n mojibake",
    "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 \u039f\u0394\u039f\u03a3",
    "\u0130stanbul y'\u017f",
    "e\u0301 combining zero\u200bwidth",
    "<|endoftext|>",
    "100 km\u00b2, 5\u00bd \u00b5m",
]


@pytest.fixture(scope="module")
def clip():
    return clip_tokenizer(MERGES)


@pytest.fixture
def backend():
    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1, "cat": 2, "dog": 3, "?": 4}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return tokenizer


def same_ids(tokenizer, reference, texts):
    batch = tokenizer(texts)
    expected = reference(texts)
    padded = torch.zeros_like(expected)
    padded[:, : batch.input_ids.shape[1]] = batch.input_ids
    wrong = (padded != expected).any(dim=1).nonzero().flatten().tolist()
    assert wrong == [], [texts[index] for index in wrong[:3]]
    return batch


@pytest.mark.parametrize("cleaning", ["lower", "whitespace", "canonical"])
def test_clip_ids_equal_open_clips(cleaning):
    texts = [*ODD_TEXTS, "a" * 300, "word " * 100]
    named = "canonicalize" if cleaning == "canonical" else cleaning
    same_ids(clip_tokenizer(MERGES, cleaning=cleaning), open_clip.SimpleTokenizer(clean=named), texts)


def test_clip_ids_equal_open_clips_on_real_captions(clip, data_root):
    texts = []
    for name in ("general/flickr8k", "remote_sensing/rsicd"):
        for line in (data_root / name / "captions.jsonl").read_text(encoding="utf-8").splitlines()[:150]:
            captions = json.loads(line)["captions"]
            texts += [text for part in captions.values() for text in part] if isinstance(captions, dict) else captions
    with (data_root / "medical/iu_reports/reports.jsonl").open(encoding="utf-8") as handle:
        texts += [json.loads(line)["findings"] or "" for line, _ in zip(handle, range(300), strict=False)]
    batch = same_ids(clip, open_clip.SimpleTokenizer(), texts)
    assert len(texts) > 2000
    assert batch.truncated.any()


def test_clip_cuts_as_open_clip_and_flags(clip):
    batch = same_ids(clip, open_clip.SimpleTokenizer(), ["cat " * 75, "cat " * 76, "cat"])
    assert batch.truncated.tolist() == [False, True, False]
    assert batch.input_ids.shape == (3, 77)
    assert batch.input_ids[1, -1] == clip.largest_id == 49407


def test_text_cannot_end_itself_early(clip):
    ids = clip(["a cat <end_of_text> a dog"]).input_ids[0].tolist()
    assert ids.count(49407) == 1
    assert ids[-1] == 49407


def test_padded_to_the_longest_of_the_batch(backend):
    tokenizer = FastTokenizer(backend, TokenizerSettings(context_length=6, pad_id=4))
    batch = tokenizer(["cat", "cat dog cat", "cat dog cat dog cat"])
    assert batch.input_ids.tolist() == [[0, 2, 1, 4, 4, 4], [0, 2, 3, 2, 1, 4], [0, 2, 3, 2, 3, 1]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0], [1] * 6]
    assert batch.truncated.tolist() == [False, False, True]
    assert tokenizer(["cat"]).input_ids.shape == (1, 3)
    assert tokenizer([]).input_ids.shape == (0, 0)


def test_settings_of_the_given_tokeniser_have_no_effect(backend):
    backend.enable_padding(length=20)
    backend.enable_truncation(3)
    tokenizer = FastTokenizer(backend, TokenizerSettings(context_length=6, pad_id=4))
    assert tokenizer(["cat dog"]).input_ids.tolist() == [[0, 2, 3, 1]]
    assert backend.padding is not None


def test_text_without_tokens_keeps_one(backend):
    backend.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    batch = FastTokenizer(backend, TokenizerSettings(context_length=6, pad_id=4))(["", "cat dog"])
    assert batch.input_ids.tolist() == [[4, 4], [2, 3]]
    assert batch.attention_mask.tolist() == [[1, 0], [1, 1]]


def test_prompt_and_blanked_id(backend):
    settings = TokenizerSettings(context_length=6, pad_id=4, cleaning="lowercase", prompt="dog ", blanked_id=1)
    assert FastTokenizer(backend, settings)(["CAT"]).input_ids.tolist() == [[0, 3, 2, 0]]


def test_a_single_text_is_refused(backend):
    with pytest.raises(ConfigurationError, match="list of texts"):
        FastTokenizer(backend, TokenizerSettings(6, 4))("cat")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TokenizerSettings(2, 4), "no room beside 2 special tokens"),
        (TokenizerSettings(6, -1), "pad_id=-1"),
        (TokenizerSettings(6, 4, "upper"), "cleaning='upper'"),
    ],
)
def test_impossible_settings_are_refused(backend, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        FastTokenizer(backend, settings)


def test_saved_and_loaded(clip, tmp_path):
    clip.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    texts = ["A photo, of a   cat!", "Größe & Gewicht"]
    assert torch.equal(loaded(texts).input_ids, clip(texts).input_ids)
    assert loaded.identity() == clip.identity()
    assert loaded.settings == clip.settings


def test_identity_sees_settings_and_vocabulary(backend):
    first = FastTokenizer(backend, TokenizerSettings(6, 4)).identity()
    assert FastTokenizer(backend, TokenizerSettings(7, 4)).identity() != first
    backend.add_tokens(["bird"])
    assert FastTokenizer(backend, TokenizerSettings(6, 4)).identity() != first


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_settings.json"])
def test_damaged_or_missing_files_are_errors(clip, tmp_path, name):
    clip.save(tmp_path)
    (tmp_path / name).write_text("{", encoding="utf-8")
    with pytest.raises(ModelDirectoryError, match=name):
        load_tokenizer(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ModelDirectoryError, match=name if name != "tokenizer.json" else "tokenizer.json nor"):
        load_tokenizer(tmp_path)


def test_incomplete_settings_are_not_filled_in(clip, tmp_path):
    clip.save(tmp_path)
    path = tmp_path / "tokenizer_settings.json"
    values = json.loads(path.read_text())
    del values["cleaning"]
    path.write_text(json.dumps(values))
    with pytest.raises(ModelDirectoryError, match="exactly the keys"):
        load_tokenizer(tmp_path)
