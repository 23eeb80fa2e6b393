"""The rendered corpus: the same every time, and its captions say what its pictures show."""

from __future__ import annotations

import json
import math
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from vlcore.data.manifest import open_manifest
from vlcore.data.text import normalise_text
from vlcore.demo.canvas import SIDE
from vlcore.demo.captions import NUMBERS
from vlcore.demo.kinds import KINDS
from vlcore.demo.palette import COLOURS
from vlcore.demo.scenes import (
    MARKER,
    assign_by_group,
    describe_scene,
    render_corpus,
    render_scene,
    shared_captions,
)

COUNT = 60


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return render_corpus(tmp_path_factory.mktemp("corpus"), count=COUNT)


@pytest.fixture(scope="module")
def rows(corpus):
    return [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def scenes():
    return [render_scene(index) for index in range(COUNT)]


def test_two_renders_are_equal_byte_for_byte(corpus, tmp_path):
    again = render_corpus(tmp_path, count=COUNT)
    assert again.read_bytes() == corpus.read_bytes()
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert len(names) == COUNT
    for name in names:
        assert (tmp_path / "images" / name).read_bytes() == (corpus.parent / "images" / name).read_bytes()


def test_a_scene_does_not_depend_on_those_before_it(corpus, scenes):
    alone = render_scene(17)
    assert alone.image.tobytes() == scenes[17].image.tobytes()
    assert alone.captions == describe_scene(17)[1]


def test_another_seed_makes_other_scenes():
    first, other = [describe_scene(index, seed=0) for index in range(20)], [describe_scene(i, 1) for i in range(20)]
    assert sum(a == b for a, b in zip(first, other, strict=True)) == 0


def test_a_whole_corpus_is_left_alone_and_a_cut_off_one_is_made_anew(tmp_path):
    manifest = render_corpus(tmp_path, count=6)
    images = sorted((tmp_path / "images").iterdir())
    before = [path.stat().st_mtime_ns for path in images]
    render_corpus(tmp_path, count=6)
    assert [path.stat().st_mtime_ns for path in images] == before

    images[0].unlink()
    render_corpus(tmp_path, count=6)
    assert images[0].is_file()

    (tmp_path / MARKER).unlink()
    images[1].write_bytes(b"torn")
    render_corpus(tmp_path, count=6)
    with Image.open(images[1]) as image:
        assert image.size == (256, 256)

    manifest.write_text("{}\n", encoding="utf-8")
    render_corpus(tmp_path, count=6)
    assert len(manifest.read_text(encoding="utf-8").splitlines()) == 6


def test_another_version_is_made_anew(tmp_path, monkeypatch):
    render_corpus(tmp_path, count=2)
    before = (tmp_path / MARKER).read_text(encoding="utf-8")
    monkeypatch.setattr("vlcore.demo.scenes.VERSION", 99)
    render_corpus(tmp_path, count=2)
    assert (tmp_path / MARKER).read_text(encoding="utf-8") != before


def test_a_smaller_corpus_leaves_no_image_of_a_larger_one(tmp_path):
    render_corpus(tmp_path, count=8)
    render_corpus(tmp_path, count=5)
    assert len(list((tmp_path / "images").iterdir())) == 5


def test_manifest_opens(corpus, rows):
    records = list(open_manifest(corpus, lang="en"))
    assert [record.id for record in records] == [row["id"] for row in rows]
    for record in records:
        assert len(record.texts) == 5
        assert record.labels["label"] in KINDS
        assert record.split in ("train", "test") and record.group
        with Image.open(record.image.path) as image:
            assert image.size == (256, 256) and image.mode == "RGB" and image.format == "JPEG"


def test_splits_share_no_id_no_group_and_no_caption(rows):
    sides = {split: [row for row in rows if row["split"] == split] for split in ("train", "test")}
    assert len(sides["test"]) == round(0.2 * COUNT)
    for found in (
        lambda row: {row["id"]},
        lambda row: {row["group"]},
        lambda row: {normalise_text(text["text"]) for text in row["texts"]},
    ):
        train, test = (set().union(*map(found, sides[split])) for split in ("train", "test"))
        assert train and test and not train & test
    assert len({row["id"] for row in rows}) == COUNT


def test_whole_corpus_has_few_duplicates_and_all_kinds():
    described = [describe_scene(index) for index in range(1200)]
    texts = [normalise_text(text) for _, captions in described for text in captions]
    assert 0 < len(texts) - len(set(texts)) < 0.02 * len(texts)
    assert Counter(facts.kind for facts, _ in described) == dict.fromkeys(KINDS, 120)
    splits = assign_by_group(shared_captions([captions for _, captions in described]))
    assert Counter(splits) == {"train": 960, "test": 240}
    by_kind = Counter(facts.kind for (facts, _), split in zip(described, splits, strict=True) if split == "test")
    assert min(by_kind.values()) >= 10


def test_scenes_that_share_a_caption_are_one_group_even_through_others():
    assert shared_captions([["a", "b"], ["c"], ["B .", "d"], ["D", "e"], ["c", "x"]]) == [0, 1, 0, 0, 1]


def test_groups_are_never_divided():
    groups = [0, 0, 0, 3, 4, 5, 5, 7, 8, 9]
    splits = assign_by_group(groups)
    assert splits.count("test") == 2
    assert all(len({s for g, s in zip(groups, splits, strict=True) if g == group}) == 1 for group in groups)


@pytest.mark.parametrize("part", range(6))
def test_captions_agree_with_the_facts(part):
    """Read each caption with nothing but word lists and compare with the facts that were drawn."""
    for index in range(part * 50, part * 50 + 50):
        facts, captions = describe_scene(index)
        assert len({normalise_text(caption) for caption in captions}) == 5
        kind = KINDS[facts.kind]
        setting = kind.settings[facts.setting]
        ground = " ".join((*setting.phrases, *setting.adjectives, *kind.arrangements[facts.arrangement].phrases))
        plural = {many for one, many in kind.things if one != many}
        for caption in captions:
            words = re.findall(r"[a-z]+", caption.lower())
            told = {facts.colour} | ({facts.extra.colour} if facts.extra else set())
            assert facts.colour in words
            # No colour but those of the things and of the ground.
            assert {word for word in words if word in COLOURS} <= told | set(ground.split())
            # "where three roads meet", "in one row" and the like are about the arrangement.
            rest = caption.lower()
            for phrase in kind.arrangements[facts.arrangement].phrases:
                rest = rest.replace(phrase.lower(), "")
            numbers = {NUMBERS.index(word) for word in re.findall(r"[a-z]+", rest) if word in NUMBERS}
            assert numbers <= {facts.count}
            if facts.count == 1:
                assert not any(re.search(rf"\b{many}\b", rest) for many in plural)
            else:
                assert any(re.search(rf"\b{many}\b", rest) for _, many in kind.things)
            if facts.extra:
                corners = [corner for corner in ("upper left", "upper right", "lower left", "lower right")
                           if corner in caption]  # fmt: skip
                assert set(corners) <= {facts.extra.corner}
        if facts.count > 1:
            assert sum(NUMBERS[facts.count] in caption.split() for caption in map(str.lower, captions)) >= 4
        if facts.extra:
            assert sum(facts.extra.noun in caption for caption in captions) == 4


def test_as_many_things_are_drawn_as_the_facts_say_apart_and_inside(scenes):
    for scene in scenes:
        assert len(scene.things) == scene.facts.count
        for thing in scene.things:
            assert 0 < thing.x < SIDE and 0 < thing.y < SIDE
        spots = [(thing.x, thing.y) for thing in scene.things]
        apart = [math.dist(a, b) for place, a in enumerate(spots) for b in spots[:place]]
        assert not apart or min(apart) > 20


def test_the_colour_of_the_facts_is_seen_where_the_things_are(scenes):
    """The pixels of each thing are nearer to the named colour than to any other, for nearly all things."""
    names = list(COLOURS)
    palette = np.array([COLOURS[name] for name in names], dtype=np.float64)
    right = total = 0
    for scene in scenes:
        pixels = np.asarray(scene.image, dtype=np.float64)
        for thing in scene.things:
            reach = max(3, round(thing.shape.radius * thing.scale * 0.3 / 2))
            x, y = round(thing.x / 2), round(thing.y / 2)
            patch = pixels[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach].reshape(-1, 3)
            nearest = palette_names(patch, palette, names)
            total += 1
            right += scene.facts.colour in [name for name, _ in Counter(nearest).most_common(2)]
    assert right / total > 0.9


def palette_names(patch, palette, names):
    """Nearest palette colour of each pixel by hue and brightness together."""

    def features(colours):
        value = colours.sum(axis=-1, keepdims=True) + 1
        return np.concatenate([colours / value * 3, value / 765 * 0.7], axis=-1)

    distance = np.linalg.norm(features(patch)[:, None] - features(palette)[None], axis=-1)
    return [names[index] for index in distance.argmin(axis=1)]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_arrangement_of_every_kind_has_room_for_its_most(name):
    """All layouts at their fullest, with every extra: none fails for want of room."""
    import random

    from vlcore.demo.canvas import Canvas

    kind = KINDS[name]
    for key, arrangement in sorted(kind.arrangements.items()):
        for seed in range(3):
            canvas = Canvas(random.Random(f"{key}{seed}"))
            extra = sorted(kind.extras)[seed % len(kind.extras)]
            make, colours = kind.extras[extra]
            upper, left = (word in arrangement.corners[0] for word in ("upper", "left"))
            canvas.put(make(colours[0]), 112 if left else 400, 112 if upper else 400)
            shapes = [kind.shape(kind.colours[0])] * kind.counts[1]
            arrangement.layout(canvas, shapes)
            assert sum(placed.shape is shapes[0] for placed in canvas.placed) == kind.counts[1]


def test_relations_are_true(scenes):
    """Left and right of the pier, and left and right of the sea, as the captions say."""
    sides = {"left of pier": -1, "right of pier": 1}
    seen = 0
    for index in range(5, 1200, 10):
        facts, _ = describe_scene(index)
        if facts.kind == "harbour" and facts.arrangement in sides and seen < 6:
            seen += 1
            things = render_scene(index).things
            pier = SIDE / 2 - sides[facts.arrangement] * 110
            assert all((thing.x - pier) * sides[facts.arrangement] > 0 for thing in things)
    assert seen == 6
    for scene in scenes:
        if scene.facts.kind == "beach":
            pixels = np.asarray(scene.image, dtype=np.int64)
            strips = {"sea left": pixels[:, :20], "sea right": pixels[:, -20:], "sea above": pixels[:20],
                      "sea below": pixels[-20:]}  # fmt: skip
            blue = {key: (strip[..., 2] - strip[..., 0]).mean() for key, strip in strips.items()}
            assert max(blue, key=blue.__getitem__) == scene.facts.arrangement
