from __future__ import annotations

import pytest

from vlcore.errors import ConfigurationError, UnknownNameError
from vlcore.retrieval.prompts import BUILT_IN, PLAIN, PromptSet, prompt_set


def test_fill():
    assert PLAIN.fill("dog") == ["dog"]
    assert PromptSet("two", ("a {}", "{} {{x}}")).fill("dog") == ["a dog", "dog {x}"]
    for prompts in BUILT_IN.values():
        assert all("{" not in sentence and "runway" in sentence for sentence in prompts.fill("runway"))


@pytest.mark.parametrize("template", ["no place", "{} and {}", "{0.__class__}", "{name}", "{", "{!r:>9} {}"])
def test_templates_with_anything_else_are_refused(template):
    with pytest.raises(ConfigurationError, match="exactly one"):
        PromptSet("bad", (template,))


def test_names():
    assert prompt_set("aerial") is BUILT_IN["aerial"] and prompt_set(PLAIN) is PLAIN
    with pytest.raises(UnknownNameError, match="photo"):
        prompt_set("photos")
    with pytest.raises(ConfigurationError, match="no templates"):
        PromptSet("none", ())
