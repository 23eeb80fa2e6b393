"""Options of a reader behind its name: `medical/vqa_rad:protocol=strict,image_root=images`."""

from __future__ import annotations

import inspect
from argparse import ArgumentError
from collections.abc import Callable, Collection
from typing import Any

from vlcore.errors import ConfigurationError


def split_reader(reader: str) -> tuple[str, dict[str, str]]:
    """Name and options of a reader as a user writes it.

    Raises:
        ConfigurationError: if what follows the colon is not `option=value,option=value`.
    """
    name, colon, rest = reader.partition(":")
    options: dict[str, str] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = part.partition("=")
        if not (key.strip() and equals and value.strip()) or key.strip() in options:
            raise ConfigurationError(
                f"reader={reader!r}: {part!r} is no option of its own. Write {name}:option=value,option=value."
            )
        options[key.strip()] = value.strip()
    return name, options


def reader_options(
    read: Callable[..., Any], name: str, options: dict[str, str], given: Collection[str] = ()
) -> dict[str, Any]:
    """Options as the values that a reader's type hints ask for.

    Args:
        read: the reader; its first parameter is the path.
        name: of the reader, for messages.
        options: as they were written.
        given: parameters that have a place of their own, such as `image_root`.

    Raises:
        ConfigurationError: if the reader has no such option, or takes no such value.
    """
    if not options:
        return {}
    from jsonargparse import ArgumentParser

    path, *rest = inspect.signature(read).parameters
    known = [parameter for parameter in rest if parameter not in given]
    for option in options:
        if option not in known:
            choices = f"Options: {', '.join(known)}." if known else "It has none."
            raise ConfigurationError(f"The reader {name!r} has no option {option!r}. {choices}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_function_arguments(read, as_group=False, skip={path, *given})
    try:
        values = parser.parse_object(options)
    except ArgumentError as error:
        told = " ".join(str(error).replace("typing.", "").split())
        raise ConfigurationError(f"The reader {name!r}: {told}") from error
    return {option: values[option] for option in options}
