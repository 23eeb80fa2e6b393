"""The table of concepts, with what goes wrong in tables that people write."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.semantic_experts.concept import LEVELS, Concept
from vlcore_remote_sensing.semantic_experts.knowledge_base import read_knowledge_base, seed_knowledge_base

HEADER = "concept_id,level,label.en,label.pt-BR,definition,source,licence"
SOLAR = "scene/solar,scene,solar farm,fazenda solar,dark blue panels in rows,mine,CC0-1.0"


def table(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "concepts.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8-sig")
    return path


def test_rows_become_concepts_and_empty_labels_are_left_out(tmp_path: Path) -> None:
    base = read_knowledge_base(table(tmp_path, SOLAR, 'object/car,object,car,,"small,\nfour wheels",mine,CC0-1.0'))
    solar, car = base.concepts
    assert solar == Concept(
        "scene/solar",
        "scene",
        {"en": "solar farm", "pt-BR": "fazenda solar"},
        "dark blue panels in rows",
        "mine",
        "CC0-1.0",
    )
    assert (car.name, car.definition, dict(car.labels)) == ("car", "small, four wheels", {"en": "car"})
    assert base.of_level("object") == (car,)
    assert base.of_level("region") == ()


def test_every_bad_row_is_listed_with_its_line(tmp_path: Path) -> None:
    lines = (
        SOLAR,
        'object/car,object,car,,"small,\nfour wheels",mine,CC0-1.0',
        "object/bus,thing,bus,,long,mine,CC0-1.0",
        "object/van,object,,,short,mine,CC0-1.0",
        "object/tram,object,tram,,long,mine",
        SOLAR,
        "object/bike,object,bike,,  ,mine,CC0-1.0",
        "object/cart,object,cart,,old,,CC0-1.0",
    )
    with pytest.raises(ManifestError) as caught:
        read_knowledge_base(table(tmp_path, *lines))
    for part in (
        "line 5: 'level' is 'thing'. It must be one of object, region, scene.",
        "line 6: 'label.en' is missing.",
        "line 7: has not the 7 cells of the header.",
        "line 8: the id 'scene/solar' is also on line 2. Remove one of them.",
        "line 9: 'definition' is empty.",
        "line 10: 'source' is missing. It must be text.",
    ):
        assert part in str(caught.value)
    assert len(caught.value.problems) == 6


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("concept_id,level,label.en,definition,source", "missing ['licence'], unknown [], twice []"),
        (HEADER.replace("label.en", "label.de"), "missing ['label.en']"),
        (HEADER + ",colour", "unknown ['colour']"),
        (HEADER + ",label.en", "twice ['label.en']"),
    ],
)
def test_another_header_is_told(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_knowledge_base(table(tmp_path, SOLAR, header=header))
    assert message in str(caught.value)
    assert "the header" in str(caught.value)


def test_a_column_of_no_language_is_told(tmp_path: Path) -> None:
    path = table(tmp_path, SOLAR, header=HEADER.replace("pt-BR", "p"))
    with pytest.raises(ManifestError, match=r"line 2: the column 'label\.p' names no language"):
        read_knowledge_base(path)


def test_other_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no file"):
        read_knowledge_base(tmp_path / "none.csv")
    with pytest.raises(ManifestError, match="holds no rows"):
        read_knowledge_base(table(tmp_path))
    (tmp_path / "a.parquet").write_bytes(b"no")
    with pytest.raises(ManifestError, match="is not Parquet"):
        read_knowledge_base(tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_bytes(HEADER.encode() + b"\nscene/a,scene,\xff,,b,c,d\n")
    with pytest.raises(ManifestError, match="is not CSV in UTF-8"):
        read_knowledge_base(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["again.csv", "again.parquet", "key=value/again.pq"])
def test_a_saved_table_is_the_same_version(tmp_path: Path, name: str) -> None:
    base = seed_knowledge_base()
    base.save(tmp_path / name)
    again = read_knowledge_base(tmp_path / name)
    assert again == base
    assert again.version == base.version


def test_rows_are_added_and_left_out_and_the_version_follows() -> None:
    base = seed_knowledge_base()
    row = dataclasses.replace(base.get("scene/viaduct"), id="scene/solar_farm")
    more = base.with_concept(row)
    assert more.version != base.version
    assert more.without(["scene/solar_farm"]).version == base.version
    with pytest.raises(ConfigurationError, match="already has a concept 'scene/viaduct'"):
        base.with_concept(base.get("scene/viaduct"))
    with pytest.raises(ConfigurationError, match="no concept 'scene/nothing'"):
        base.without(["scene/nothing"])


def test_the_seed_holds_the_label_sets_it_names() -> None:
    base = seed_knowledge_base()
    sources = Counter(source for concept in base.concepts for source in concept.source.split(", "))
    assert sources == {
        "AID": 30, "RSICD": 30, "UCM": 21, "EuroSAT": 10, "DOTA": 18, "DIOR": 20,
        "BigEarthNet-19 (CORINE)": 19, "ESA WorldCover": 11,
    }  # fmt: skip
    assert {concept.level for concept in base.concepts} == set(LEVELS)
    assert all(concept.id.startswith(f"{concept.level}/") for concept in base.concepts)
