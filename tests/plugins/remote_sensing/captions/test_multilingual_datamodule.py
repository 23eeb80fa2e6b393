"""One language per image and epoch, drawn by its weight and the same when a run goes on; translations are positives."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch
from small_towers import small_task, small_trainer

from vlcore.data.pairs import PairTable
from vlcore.data.record import ImageRef, Record, Text
from vlcore.errors import CheckpointError, ConfigurationError
from vlcore_remote_sensing.captions.multilingual_datamodule import MultilingualDataModule
from vlcore_remote_sensing.captions.translation_groups import joined_keys, translation_groups

pytestmark = pytest.mark.usefixtures("small_towers")

COLOURS = {"en": ("red", "blue"), "pt": ("vermelho", "azul"), "de": ("rot", "blau")}


@pytest.fixture
def manifest(tiny_manifest):
    """Twelve images: one caption in English and German, four in Portuguese, and an answer that is no caption."""
    rows = []
    for number, line in enumerate(tiny_manifest.read_text().splitlines()):
        words = {lang: names[number % 2] for lang, names in COLOURS.items()}
        texts = [
            {"text": words["en"], "lang": "en"},
            {"text": words["de"], "lang": "de", "kind": "machine_translation"},
        ]
        texts += [{"text": f"{words['pt']} {ending}", "lang": "pt"} for ending in "abcd"]
        texts.append({"text": "yes", "lang": "en", "kind": "answer"})
        rows.append(
            {**json.loads(line), "texts": texts, "meta": {"translation_groups": [0, 0, 0, None, None, None, None]}}
        )
    tiny_manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tiny_manifest


def data_module(manifest, **options):
    settings = {"val_split": "test", "batch_size": 4, "cache_features": False, "num_workers": 0}
    return MultilingualDataModule(str(manifest), **{**settings, **options})


def prepared(manifest, folder, **options):
    data = data_module(manifest, **options)
    trainer = small_trainer(folder)
    trainer.strategy._lightning_module = task = small_task()
    task.trainer = data.trainer = trainer
    data.setup("fit")
    return data


def languages(data, epoch):
    """Language and image of every pair of an epoch."""
    order, collate = data.part("train")
    found = [text.lang for name in collate.table.ids for text in data._records["train"][name].texts]
    pairs = np.concatenate(order.batches(epoch))
    return [found[pair] for pair in pairs], collate.table.image_of_text[pairs], pairs


def test_every_image_comes_once_in_an_epoch_and_languages_are_drawn_alike(manifest, tmp_path):
    data = prepared(manifest, tmp_path)
    seen = Counter()
    for epoch in range(300):
        drawn, images, _ = languages(data, epoch)
        assert sorted(images) == list(range(8))
        seen.update(drawn)
    # 2,400 draws of a third each: five deviations are 115. Drawing captions would give Portuguese two thirds.
    assert set(seen) == {"en", "pt", "de"}
    assert all(abs(count - 800) < 115 for count in seen.values()), seen


def test_weights_decide_and_other_languages_are_left_out(manifest, tmp_path):
    data = prepared(manifest, tmp_path, languages={"pt": 1.0, "en": 3.0})
    seen, captions = Counter(), Counter()
    for epoch in range(300):
        drawn, _, pairs = languages(data, epoch)
        seen.update(drawn)
        captions.update(pair for language, pair in zip(drawn, pairs.tolist(), strict=True) if language == "pt")
    assert abs(seen["en"] - 1800) < 106 and seen["en"] + seen["pt"] == 2400
    # Within a language, its four captions alike: 32 of them, each 600 / 32 times.
    assert len(captions) == 32 and max(captions.values()) < 42
    table = data.part("train")[1].table
    assert "yes" not in table.texts and "rot" not in table.texts


def test_the_draw_depends_on_seed_and_epoch_alone(manifest, tmp_path):
    first, again, other = (prepared(manifest, tmp_path, seed=seed) for seed in (1, 1, 2))
    for epoch in (3, 0, 3):
        assert np.array_equal(languages(first, epoch)[2], languages(again, epoch)[2])
    assert not np.array_equal(languages(first, 0)[2], languages(first, 1)[2])
    assert not np.array_equal(languages(first, 0)[2], languages(other, 0)[2])


def test_other_languages_are_another_run(manifest, tmp_path):
    state = prepared(manifest, tmp_path).train_dataloader().state_dict()
    prepared(manifest, tmp_path).train_dataloader().load_state_dict(state)
    weighted = prepared(manifest, tmp_path, languages={"en": 1.0, "pt": 1.0, "de": 2.0})
    with pytest.raises(CheckpointError, match="the languages was"):
        weighted.train_dataloader().load_state_dict(state)


def test_validation_reads_every_caption(manifest, tmp_path):
    data = prepared(manifest, tmp_path)
    assert sum(len(batch.text_key) for batch in data.val_dataloader()) == 4 * 6


def test_translations_of_one_sentence_share_their_key(manifest, tmp_path):
    table = prepared(manifest, tmp_path).part("train")[1].table
    keys = dict(zip(table.texts, table.text_key.tolist(), strict=True))
    assert keys["red"] == keys["rot"] == keys["vermelho a"]
    assert keys["blue"] == keys["blau"] != keys["red"]
    assert len({keys["vermelho a"], keys["vermelho b"], keys["vermelho c"]}) == 3
    batch = next(iter(prepared(manifest, tmp_path, batch_size=8).train_dataloader()))
    assert set(batch.text_key.tolist()) <= set(keys.values())


def records(*texts_and_groups):
    return [
        Record(
            str(number),
            ImageRef("x"),
            tuple(Text(text) for text, _ in texts),
            meta={"translation_groups": [group for _, group in texts]},
        )
        for number, texts in enumerate(texts_and_groups)
    ]


def test_keys_are_joined_step_by_step_across_images_and_only_there():
    found = records([("plane", 1), ("avião", 1)], [("aviao", 1), ("Avião .", 2), ("Flugzeug", 2)], [("ship", 1)])
    table = PairTable.from_records(found)
    groups = [group for record in found for group in translation_groups(record)]
    keys = dict(zip(table.texts, joined_keys(table, groups).tolist(), strict=True))
    assert keys["plane"] == keys["avião"] == keys["Avião ."] == keys["Flugzeug"]
    assert len({keys["plane"], keys["aviao"], keys["ship"]}) == 3
    # Without groups nothing changes, and the result does not depend on the order of the records.
    assert joined_keys(table, [None] * 6) is table.text_key
    turned = PairTable.from_records(found[::-1])
    groups = [group for record in found[::-1] for group in translation_groups(record)]
    assert dict(zip(turned.texts, joined_keys(turned, groups).tolist(), strict=True)) == keys


def test_groups_that_do_not_fit_the_texts_are_refused():
    with pytest.raises(ConfigurationError, match=r"Record 'a': meta\['translation_groups'\] is \[1\] for 2 texts"):
        translation_groups(Record("a", ImageRef("x"), (Text("b"), Text("c")), meta={"translation_groups": [1]}))


def test_records_without_such_captions_are_counted(manifest, tmp_path):
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    lines[0]["texts"] = lines[0]["texts"][:1]
    lines[0]["meta"] = {}
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.warns(UserWarning, match="1 of 8 train records have no caption in de, pt and are left out"):
        data = prepared(manifest, tmp_path, languages={"pt": 1.0, "de": 1.0})
    assert len(data.part("train")[1].table.ids) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": {"en": 0.0}}, "languages: 'en' has the weight 0.0; leave it out"),
        ({"languages": {"fr": 1.0, "en": 1.0}}, "no caption of the training records is in 'fr'; their texts are in de"),
    ],
)
def test_languages_that_do_not_fit_are_refused(options, message, manifest, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        prepared(manifest, tmp_path, **options)


def test_texts_of_other_kinds_alone_are_refused(manifest, tmp_path):
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for line in lines:
        line |= {"texts": line["texts"][-1:], "meta": {}}
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ConfigurationError, match="have no captions: their texts are of the kinds answer"):
        prepared(manifest, tmp_path)


def test_facts_for_the_model_card_name_the_languages(manifest, tmp_path):
    assert prepared(manifest, tmp_path).describe()["languages"] == "all, alike"
    weights = {"en": 1.0, "pt": 2.0}
    assert prepared(manifest, tmp_path, languages=weights).describe()["languages"] == weights
    assert torch.is_tensor(next(iter(prepared(manifest, tmp_path).train_dataloader())).images)
