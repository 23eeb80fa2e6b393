from pathlib import Path

import pytest

from vlcore.data.pairs import PairTable
from vlcore.data.record import ImageRef, Record, Text
from vlcore.errors import ConfigurationError


def record(name, *texts):
    return Record(id=name, image=ImageRef(Path(f"{name}.png")), texts=tuple(map(Text, texts)))


def test_texts_of_an_image_follow_each_other_and_records_without_text_are_passed_over():
    table = PairTable.from_records([record("a", "one", "two"), record("b"), record("c", "three")])
    assert len(table) == 3
    assert table.ids == ["a", "c"]
    assert [image.path.name for image in table.images] == ["a.png", "c.png"]
    assert table.texts == ["one", "two", "three"]
    assert table.image_of_text.tolist() == [0, 0, 1]


def test_texts_that_say_the_same_have_one_key():
    table = PairTable.from_records([record("a", "A dog.", "a  DOG."), record("b", "a dog.", "a cat.")])
    first, second, third, other = table.text_key.tolist()
    assert first == second == third != other


def test_records_without_any_text_are_refused():
    with pytest.raises(ConfigurationError, match=r"None of 2 records has a text.*only `vlcore index` works"):
        PairTable.from_records([record("a"), record("b")])
