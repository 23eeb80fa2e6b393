"""Errors of a training configuration in one line each, in the words of the file that holds the mistake."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Mapping


def explain(message: str, classes: Mapping[str, type]) -> str:
    """Rewrite jsonargparse's account of a value that it does not take.

    Its account lists every type that was tried at every level; what a reader needs is the key, what is wrong with it
    and what would do.

    Args:
        message: of the parser.
        classes: by section of the configuration (`model`, `data`, `trainer`), for near names of options.
    """
    keys = re.findall(r'Parser key "([\w.]+)"', message)
    if unknown := re.search(r"Option '([\w.-]+)' is not accepted", message):
        return _no_option([*keys, unknown[1]], classes)
    if unknown := re.search(r"Group '([\w.]+)' does not accept option '([\w.-]+)'", message):
        return _no_option([unknown[1], unknown[2]], classes)
    if unknown := re.search(r"Expected a dot import path string: (\S+)", message):
        near = difflib.get_close_matches(unknown[1], [known.__name__ for known in classes.values()], n=1)
        offer = f"Did you mean {near[0]}?" if near else "Give its whole path, such as package.module.ClassName."
        return f"{'.'.join(keys)}: there is no class named {unknown[1]!r}. {offer}"
    expected = [_plain(kind) for kind in re.findall(r"Expected an? (.+?)(?:\. Got value: .*)?$", message, re.MULTILINE)]
    given = re.findall(r"(?:Got value|Given value): (.+)$", message, re.MULTILINE)
    if keys and expected and given:
        # The innermost account comes first; the enclosing ones repeat the whole section.
        wanted = " or ".join(dict.fromkeys(kind for kind in expected if kind != "None")) or "nothing"
        return f"{'.'.join(keys)}: {given[0]!r} is not accepted; expected {wanted}."
    return " ".join(message.split())


def explain_interpolation(message: str, key: str | None) -> str:
    """Say what an interpolation such as `${oc.env:VLCORE_DATA}` lacks.

    Args:
        message: of OmegaConf.
        key: of the value that holds the interpolation.
    """
    place = (key or "The configuration").replace(".init_args", "")
    if variable := re.search(r"Environment variable '(\w+)' not found", message):
        return (
            f"{place} needs the environment variable {variable[1]}: export {variable[1]}=…, or write the value itself."
        )
    return f"{place}: {message.splitlines()[0]}. Correct the name between '${{' and '}}', or write the value itself."


def _no_option(path: list[str], classes: Mapping[str, type]) -> str:
    section, option = path[0], path[-1]
    known = inspect.signature(classes[section]).parameters if section in classes else ["model", "data", "trainer"]
    near = difflib.get_close_matches(option, known, n=1)
    offer = f" Did you mean {near[0]}?" if near else f" Known: {', '.join(known)}."
    return f"{'.'.join(path)}: there is no such option.{offer}"


def _plain(kind: str) -> str:
    if choices := re.fullmatch(r"(?:typing\.)?Literal\[(.*)\]", kind):
        return " or ".join(choices[1].split(", "))
    kind = re.sub(r"<class '(?:[\w.]*\.)?(\w+)'>", r"\1", kind).replace("typing.", "")
    return {"int": "a whole number", "float": "a number", "bool": "true or false", "NoneType": "None"}.get(kind, kind)
