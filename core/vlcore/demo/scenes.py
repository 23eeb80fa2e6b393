"""A corpus of captioned aerial-like scenes that vlcore renders itself, the same on every machine."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from vlcore.data.progress import track
from vlcore.data.text import text_key
from vlcore.demo.canvas import Canvas, Placed
from vlcore.demo.captions import captions
from vlcore.demo.facts import SceneFacts, choose_facts
from vlcore.demo.grounds import tree
from vlcore.demo.kinds import KINDS
from vlcore.files import sha256_file, write_text

VERSION = 1
"""Of the generator; a folder made by another version is rendered anew."""

MARKER = "corpus.json"
TEST_SHARE = 0.2
CORNER = 112.0
SNOWY_LEAVES = ((60, 92, 74), (206, 218, 224))


@dataclass(frozen=True)
class Scene:
    """One rendered scene.

    Attributes:
        id: unique within the corpus.
        facts: what it shows.
        captions: five texts that say so.
        image: 256 x 256 RGB.
        things: the main things, in pixels of the drawing (twice as fine as the image).
    """

    id: str
    facts: SceneFacts
    captions: list[str]
    image: Image.Image
    things: list[Placed]


def describe_scene(index: int, seed: int = 0) -> tuple[SceneFacts, list[str]]:
    """Facts and captions of the scene of a number, without drawing it."""
    # Python seeds from text by SHA-512, the same everywhere.
    chance = random.Random(f"facts/{seed}/{index}")
    kind = KINDS[sorted(KINDS)[index % len(KINDS)]]
    facts = choose_facts(kind, chance)
    return facts, captions(facts, kind, chance)


def render_scene(index: int, seed: int = 0) -> Scene:
    """Draw the scene of a number."""
    facts, texts = describe_scene(index, seed)
    kind = KINDS[facts.kind]
    canvas = Canvas(random.Random(f"drawing/{seed}/{index}"))
    canvas.cover(kind.settings[facts.setting].material)
    if facts.extra is not None:
        shape = kind.extras[facts.extra.noun][0](facts.extra.colour)
        down, across = facts.extra.corner.split()
        x, y = (CORNER if at in ("upper", "left") else 512 - CORNER for at in (across, down))
        jitter = canvas.chance.uniform
        size = max(1.0, min(1.3, 72 / shape.radius))
        canvas.put(shape, x + jitter(-12, 12), y + jitter(-12, 12), jitter(-20, 20), size)
    shapes = [kind.shape(facts.colour)] * facts.count
    kind.arrangements[facts.arrangement].layout(canvas, shapes)
    things = [placed for placed in canvas.placed if placed.shape is shapes[0]]
    _strew_trees(canvas, kind.trees, snowy="snow" in facts.setting)
    return Scene(f"{facts.kind.replace(' ', '_')}_{index:04d}", facts, texts, canvas.finish(), things)


def _strew_trees(canvas: Canvas, most: int, *, snowy: bool) -> None:
    for _ in range(canvas.chance.randint(0, most)):
        crown = tree(canvas.chance, SNOWY_LEAVES) if snowy else tree(canvas.chance)
        x, y = canvas.chance.uniform(0, 512), canvas.chance.uniform(0, 512)
        if canvas.is_free(x, y, crown.radius):
            canvas.put(crown, x, y)


def render_corpus(folder: Path | str, count: int = 1200, seed: int = 0, progress: bool = False) -> Path:
    """Write `captions.jsonl` and `images/` of a corpus; a folder that already holds this corpus is left as it is.

    Each row has the image, five captions, an id, a label (the kind of scene), a split (80 % train, 20 % test), a
    group (scenes that share a caption; a split keeps them together) and the facts under `meta`.

    Args:
        folder: to write.
        count: number of scenes.
        seed: another seed makes other scenes.
        progress: show a bar on standard error.

    Returns:
        Path of the manifest, for `open_manifest`.
    """
    folder = Path(folder)
    manifest, marker = folder / "captions.jsonl", folder / MARKER
    identity: dict[str, str | int] = {"generator": "vlcore scenes", "version": VERSION, "count": count, "seed": seed}
    if _is_complete(folder, identity):
        return manifest
    # The marker goes first and comes last: a render that was cut off is never taken for a whole one.
    marker.unlink(missing_ok=True)
    images = folder / "images"
    if images.is_dir():  # what an older corpus left would be in no manifest
        for old in images.glob("*.jpg"):
            old.unlink()
    images.mkdir(parents=True, exist_ok=True)
    described = [describe_scene(index, seed) for index in range(count)]
    groups = shared_captions([texts for _, texts in described])
    splits = assign_by_group(groups)
    lines = []
    with track(count, "rendering scenes", progress) as advance:
        for index in range(count):
            scene = render_scene(index, seed)
            name = f"images/{scene.id}.jpg"
            scene.image.save(folder / name, "JPEG", quality=90)
            row = {
                "image": name,
                "texts": [{"text": text, "lang": "en"} for text in scene.captions],
                "id": scene.id,
                "label": scene.facts.kind,
                "split": splits[index],
                "group": f"scene_{groups[index]:04d}",
                "meta": {"facts": asdict(scene.facts)},
            }
            lines.append(json.dumps(row) + "\n")
            advance(1)
    write_text(manifest, "".join(lines))
    write_text(marker, json.dumps({**identity, "manifest": sha256_file(manifest)}, indent=2) + "\n")
    return manifest


def shared_captions(texts: Sequence[Sequence[str]]) -> list[int]:
    """For each scene the first scene that it shares a caption with, directly or through others."""
    parent = list(range(len(texts)))

    def root(scene: int) -> int:
        while parent[scene] != scene:
            scene = parent[scene]
        return scene

    first: dict[int, int] = {}
    for scene, said in enumerate(texts):
        for text in said:
            one, other = sorted((root(scene), root(first.setdefault(text_key(text), scene))))
            parent[other] = one
    return [root(scene) for scene in range(len(texts))]


def assign_by_group(groups: Sequence[int]) -> list[str]:
    """Fill the test split with whole groups, in an order that hashing decides, until it holds its share."""
    sizes: dict[int, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    room = round(TEST_SHARE * len(groups))
    test = set()
    for group in sorted(sizes, key=lambda group: hashlib.sha256(f"group {group}".encode()).digest()):
        if sizes[group] <= room:
            test.add(group)
            room -= sizes[group]
    return ["test" if group in test else "train" for group in groups]


def _is_complete(folder: Path, identity: dict[str, str | int]) -> bool:
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        if marker != {**identity, "manifest": sha256_file(folder / "captions.jsonl")}:
            return False
    except (OSError, ValueError):
        return False
    return sum(1 for _ in (folder / "images").glob("*.jpg")) == identity["count"]
