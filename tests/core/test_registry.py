"""Registries: one name, one thing, imported when first needed."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from vlcore.errors import DuplicateNameError, UnknownNameError
from vlcore.registry import Entry, Registries, Registry


def test_a_reference_is_imported_on_first_use_only() -> None:
    registry: Registry[Any] = Registry("reader")
    sys.modules.pop("this", None)
    registry.register("zen", "this:s", summary="verses")
    registry.register("object", sorted)
    assert registry.names() == ["object", "zen"]
    assert "this" not in sys.modules
    assert registry.entry("zen").summary == "verses"
    assert "this" not in sys.modules
    assert isinstance(registry.get("zen"), str)
    assert registry.get("object") is sorted


def test_nested_attributes_are_not_needed_and_a_missing_one_is_an_error() -> None:
    registry: Registry[Any] = Registry("reader")
    registry.register("gone", "math:no_such_function")
    with pytest.raises(AttributeError, match="no_such_function"):
        registry.get("gone")


def test_a_taken_name_names_both_owners_and_keeps_the_first() -> None:
    registry: Registry[Any] = Registry("head")
    registry.register("linear", "a:b")
    with pytest.raises(
        DuplicateNameError, match=r"head name 'linear' is claimed by both 'vlcore' and 'other'"
    ) as caught:
        registry.register("linear", "c:d", owner="other")
    assert caught.value.owners == ("vlcore", "other")
    with pytest.raises(DuplicateNameError):
        registry.add(Entry("linear", "e:f", "third"))
    assert registry.entry("linear").target == "a:b"
    assert len(registry) == 1


def test_an_unknown_name_offers_near_ones_and_says_why_it_is_missing() -> None:
    registry: Registry[Any] = Registry("head")
    registry.register("linear", "a:b")
    registry.register("star_mlp", "a:b")
    with pytest.raises(UnknownNameError, match=r"no head named 'liner'. Did you mean linear\?"):
        registry.get("liner")
    with pytest.raises(UnknownNameError, match="Known: linear, star_mlp"):
        registry.get("xyz")
    registry.explain = lambda name: f"{name} was switched off."
    with pytest.raises(UnknownNameError, match="xyz was switched off"):
        registry.get("xyz")


def test_membership_order_and_views() -> None:
    registry: Registry[int] = Registry("number")
    for name in ("b", "a"):
        registry.register(name, 1)
    assert list(registry) == ["a", "b"]
    assert "a" in registry
    assert 1 not in registry
    registry.entries().clear()  # type: ignore[attr-defined]
    assert len(registry) == 2


def test_two_sets_of_registries_share_nothing() -> None:
    first, second = Registries(), Registries()
    first.heads.register("linear", "a:b")
    assert "linear" not in second.heads
    assert set(first.all()) == set(second.all()) >= {"readers", "heads", "prompts", "commands"}
    assert all(isinstance(registry, Registry) for registry in first.all().values())
