"""From a type-hinted function with a Google docstring to a command-line parser.

A required parameter is given by place, any other is an option with dashes (`on_bad_image`: `--on-bad-image`);
keyword-only parameters and `output` are always options. A truth value is a flag, a list takes several values.
`--config FILE` reads any of them from YAML, and `--print-config` writes such a file.
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import re
import shutil
import textwrap
import types
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

import docstring_parser
from jsonargparse import ActionConfigFile, ArgumentParser  # type: ignore[attr-defined, unused-ignore]

from vlcore.errors import ConfigurationError, VlcoreError

SHORT = {"k": "-k", "top_k": "-k", "model": "-m", "output": "-o"}
"""Options with a short form, the same in every command."""


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of examples and shows defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        default = action.default
        if default in (None, False, argparse.SUPPRESS, "", [], ()) or "default" in text or not action.option_strings:
            return text
        return f"{text} (default: {'yes' if default is True else '%(default)s'})"


class _Parser(ArgumentParser):  # type: ignore[misc, unused-ignore]
    """Reports a wrong argument as vlcore's own kind of error."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        text = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", message).replace("typing.", "")
        text = re.sub(r'Parser key "(\w+)":\s*', lambda match: f"{self.display(match[1])}: ", text)
        if unrecognised := re.match(r"[Uu]nrecognized arguments: (--?[\w-]+)", text):
            known = [option for action in self._actions for option in action.option_strings]
            if near := difflib.get_close_matches(unrecognised[1], known, n=1):
                text += f". Did you mean {near[0]}?"
        raise ConfigurationError(f"{' '.join(text.split())} (see: {self.prog} --help)") from ex

    def display(self, parameter: str) -> str:
        """The way a user writes a parameter."""
        for action in self._actions:
            if action.dest == parameter:
                return action.option_strings[-1] if action.option_strings else parameter.upper()
        return parameter


def call(function: Callable[..., Any], prog: str, arguments: Sequence[str], positional: Sequence[str] = ()) -> Any:
    """Parse arguments for a function and call it.

    Args:
        function: with a type hint on every parameter.
        prog: how the user calls it, `vlcore search`.
        arguments: what follows that.
        positional: optional parameters that are given by place.

    Raises:
        ConfigurationError: if the arguments do not fit.
        VlcoreError: of the function, with the options in `as_typed` as a user writes them.
        SystemExit: after `--help` and `--print-config`.
    """
    parser = build_parser(function, prog, positional)
    values = parser.parse_args(_arrange(parser, arguments)).as_dict()
    try:
        return function(**{name: values[name] for name in inspect.signature(function).parameters})
    except VlcoreError as error:
        error.as_typed = _as_typed(str(error), parser)
        raise


def _as_typed(message: str, parser: ArgumentParser) -> str:
    """A message whose `on_bad_image='skip'` has become `--on-bad-image 'skip'`, and `prior=True` `--prior`."""
    options = {action.dest: action.option_strings[-1] for action in parser._actions if action.option_strings}
    flags = {action.dest for action in parser._actions if isinstance(action, argparse.BooleanOptionalAction)}

    def typed(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if name not in flags:
            return f"{options[name]} {value or ''}"
        if value is None:
            return match[0]
        return f"--{'no-' * (value == 'False')}{name.replace('_', '-')}"

    # Behind a colon or comma without a space stand options of a reader, behind a dot those of a configuration.
    return re.sub(rf"(?<![\w.,:/-])({'|'.join(map(re.escape, options))})=(True\b|False\b)?", typed, message)


def build_parser(function: Callable[..., Any], prog: str, positional: Sequence[str] = ()) -> ArgumentParser:
    """Make the parser of a function."""
    documentation = docstring_parser.parse(function.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE)
    help_of = {one.arg_name: " ".join((one.description or "").split()) for one in documentation.params}
    parser = _Parser(
        prog=prog,
        description=_reflow(documentation.short_description, documentation.long_description),
        epilog=_examples(function),
        formatter_class=_HelpFormatter,
        print_config="--print-config",
        allow_abbrev=False,
    )
    hints = get_type_hints(function)
    for parameter in inspect.signature(function).parameters.values():
        text = help_of.get(parameter.name, "").replace("%", "%%")
        _add(parser, parameter, hints[parameter.name], text, parameter.name in positional)
    parser.add_argument("-c", "--config", action=ActionConfigFile, metavar="FILE", help="read arguments from YAML")
    for action in parser._actions:
        if action.option_strings == ["--print-config"]:
            action.help = "print the arguments as YAML for --config and stop"
    return parser


def _add(parser: ArgumentParser, parameter: inspect.Parameter, hint: Any, text: str, by_place: bool) -> None:
    required = parameter.default is parameter.empty
    # What a command writes is always named, so that it cannot be mistaken for what it reads.
    by_place |= required and parameter.kind is not parameter.KEYWORD_ONLY and parameter.name != "output"
    kind: dict[str, Any] = {"help": text}
    if not required:
        kind["default"] = parameter.default
    hint = _without_none(hint)
    if get_origin(hint) in (list, tuple, Sequence) and get_args(hint)[0] in (str, int, float):
        kind |= {"type": get_args(hint)[0], "nargs": "+" if required else "*"}
    elif hint is bool:
        kind["action"] = argparse.BooleanOptionalAction
    else:
        kind["type"] = hint
    if by_place:
        if not required:
            kind.setdefault("nargs", "?")
        parser.add_argument(parameter.name, metavar=parameter.name.upper(), **kind)
        return
    names = [SHORT[parameter.name]] if parameter.name in SHORT else []
    if len(parameter.name) > 1:
        names.append("--" + parameter.name.replace("_", "-"))
    parser.add_argument(*names, required=required, **kind)


def _without_none(hint: Any) -> Any:
    """`X | None` as X: on a command line, leaving an option out is the way to say None."""
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        if len(kinds) == 1:
            return kinds[0]
    return hint


def _arrange(parser: ArgumentParser, arguments: Sequence[str]) -> list[str]:
    """Put what is given by place behind the options.

    argparse fills all places at the first of them, so that `search INDEX -k 5 WORDS` would leave WORDS over. The
    underscores of configuration files are accepted in options too.
    """
    actions = {option: action for action in parser._actions for option in action.option_strings}
    options: list[str] = []
    places: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            places += waiting
            break
        option, equals, value = argument.partition("=")
        if option.startswith("--") and option not in actions:
            dashed = "--" + option[2:].replace("_", "-")
            option = dashed if dashed in actions else option
        if not _is_option(argument):
            places.append(argument)
            continue
        options.append(option + equals + value)
        count = actions[option].nargs if option in actions and not equals else 0
        if count is None and waiting:
            options.append(waiting.pop(0))
        while count in ("*", "+") and waiting and not _is_option(waiting[0]):
            options.append(waiting.pop(0))
    return [*options, "--", *places] if places else options


def _is_option(argument: str) -> bool:
    """Whether argparse takes it for an option: words with spaces and negative numbers are none."""
    return len(argument) > 1 and argument[0] == "-" and " " not in argument and not re.match(r"-\.?\d", argument)


def _reflow(*texts: str | None) -> str:
    """Fill paragraphs to the terminal's width."""
    width = max(40, shutil.get_terminal_size().columns - 2)
    paragraphs = [paragraph for text in texts if text for paragraph in text.split("\n\n")]
    return "\n\n".join(textwrap.fill(" ".join(paragraph.split()), width) for paragraph in paragraphs)


def _examples(function: Callable[..., Any]) -> str | None:
    """The sections `Examples:` of a docstring, lines as they are."""
    found = re.findall(r"^Examples?:\n((?:[ \t]+.*\n?|\n)+)", inspect.getdoc(function) or "", re.MULTILINE)
    lines = "\n".join(textwrap.dedent(section).strip("\n") for section in found)
    return "examples:\n" + textwrap.indent(lines, "  ") if lines else None
