"""The dispatcher: commands, errors, exit codes; and the parser made from a function."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from vlcore.cli import commands
from vlcore.cli import main as main_module
from vlcore.cli.arguments import build_parser, call
from vlcore.cli.commands import COMMANDS, Command
from vlcore.cli.main import main
from vlcore.errors import ConfigurationError, VlcoreError

CALLS: list[dict[str, Any]] = []


def sample(
    source: Path,
    output: Path,
    query: str | None = None,
    k: int = 10,
    on_bad_image: Literal["raise", "skip"] = "raise",
    labels: list[str] | None = None,
    progress: bool = True,
    exact: bool = False,
    fractions: dict[str, float] | None = None,
    *,
    seed: int = 0,
) -> int:
    """Do a thing with 100 % care.

    It takes
    a while.

    Args:
        source: what to read,
            in any format.
        output: what to write; 50 % of it.
        query: words.
        k: how many.
        on_bad_image: what then.
        labels: class names.
        progress: show a bar.
        exact: compare all.
        fractions: of the splits.
        seed: of the draw.

    Examples:
        vlcore sample a -o b
        vlcore sample a \\
            -o b "100 %"

    Raises:
        ValueError: never.
    """
    CALLS.append(dict(locals()))
    return k


def failing(kind: str) -> None:
    """Fail.

    Args:
        kind: how.
    """
    raise {
        "known": VlcoreError("line 3: 'image' is missing. Add it."),
        "defect": ZeroDivisionError("division by zero"),
        "interrupt": KeyboardInterrupt(),
        "disk": OSError(errno.ENOSPC, "No space left on device", "/data/index"),
        "missing file": FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/a"),
        "exit": SystemExit("gave up"),
    }[kind]


def raw(arguments: list[str]) -> None:
    """Keep what is given."""
    CALLS.append({"raw": arguments})


@pytest.fixture(autouse=True)
def sample_commands(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three commands of this file, and a wide terminal."""
    CALLS.clear()
    functions = {"sample": sample, "failing": failing, "raw": raw}
    monkeypatch.setattr(Command, "load", lambda self: functions[self.name])
    for name, positional, is_raw in (("sample", ("query",), False), ("failing", (), False), ("raw", (), True)):
        monkeypatch.setitem(COMMANDS, name, Command(name, "", "test", "Test", positional, is_raw))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("VLCORE_PLUGINS", "none")
    yield


def test_arguments_by_place_by_name_and_in_short() -> None:
    assert main(["sample", "in.jsonl", "two dogs", "-o", "out", "-k", "3", "--on-bad-image", "skip", "--exact"]) == 3
    assert [
        {
            "source": Path("in.jsonl"),
            "output": Path("out"),
            "query": "two dogs",
            "k": 3,
            "on_bad_image": "skip",
            "labels": None,
            "progress": True,
            "exact": True,
            "fractions": None,
            "seed": 0,
        }
    ] == CALLS


def test_lists_flags_tables_and_underscores() -> None:
    arguments = ["sample", "in", "--output=out", "--labels", "a dog", "5", "--no-progress", "--on_bad_image=skip"]
    assert main([*arguments, "--fractions", '{"train": 0.5}', "--seed", "7", "-k", "0"]) == 0
    (given,) = CALLS
    assert given["labels"] == ["a dog", "5"]
    assert (given["progress"], given["on_bad_image"], given["seed"]) == (False, "skip", 7)
    assert given["fractions"] == {"train": 0.5}


@pytest.mark.parametrize("words", ["no", "null", "123", "a: b", "[a, b]", "{x}", "", "- 5", "-5", "x=y", "50%"])
def test_words_stay_words_and_are_never_read_as_yaml(words: str) -> None:
    assert main(["sample", "in", "-o", "out", "-k", "0", words]) == 0
    assert CALLS[0]["query"] == words


@pytest.mark.parametrize(
    "arguments",
    [
        ["in", "two dogs", "-o", "out", "-k", "0", "--labels", "a", "b", "--exact"],
        ["-o", "out", "in", "-k0", "--labels", "a", "b", "--exact", "two dogs"],
        ["--exact", "in", "--labels", "a", "b", "-k", "0", "two dogs", "--output=out"],
        ["-k", "0", "--exact", "-o", "out", "--labels", "a", "b", "--", "in", "two dogs"],
        ["in", "-o", "out", "--exact", "-k", "0", "--labels", "a", "b", "--", "two dogs"],
    ],
)
def test_arguments_come_in_any_order(arguments: list[str]) -> None:
    assert main(["sample", *arguments]) == 0
    (given,) = CALLS
    assert (given["source"], given["output"], given["query"]) == (Path("in"), Path("out"), "two dogs")
    assert (given["k"], given["exact"], given["labels"]) == (0, True, ["a", "b"])


def test_words_that_look_like_an_option_follow_two_dashes() -> None:
    assert main(["sample", "in", "-o", "out", "-k", "0", "--", "--debug"]) == 0
    assert CALLS[0]["query"] == "--debug"


def test_a_configuration_file_fills_in_and_the_command_line_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", "in", "-o", "out", "-k", "4", "--labels", "a", "--print-config"]) == 0
    written = capsys.readouterr().out
    assert not CALLS
    config = tmp_path / "config.yaml"
    config.write_text(written, encoding="utf-8")
    assert main(["sample", "--config", str(config)]) == 4
    assert main(["sample", "-c", str(config), "-k", "5"]) == 5
    first, second = CALLS
    assert first["source"] == Path("in")
    assert first["query"] is None
    assert {**first, "k": 5} == second


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["sample"], ["output", "required", "see: vlcore sample --help"]),
        (["sample", "a", "-o", "b", "-k", "many"], ["-k: Expected a int. Got value: many"]),
        (["sample", "a", "-o", "b", "--on-bad-image", "x"], ["--on-bad-image: "]),
        (["sample", "a", "-o", "b", "--on-bad-imag", "skip"], ["Did you mean --on-bad-image?"]),
        (["sample", "a", "-o", "b", "--outpt", "c"], ["Did you mean --output?"]),
        (["sample", "a", "-c", "/nowhere.yaml"], ["--config: File does not exist", "nowhere.yaml"]),
        (["smple"], ["There is no command named 'smple'. Did you mean sample?"]),
        (["xyzzy"], ["Known: ", "vlcore --help"]),
    ],
)
def test_mistakes_are_one_line_with_exit_code_2(
    arguments: list[str], messages: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for message in messages:
        assert message in err
    assert not CALLS


def test_an_unknown_key_of_a_configuration_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("source: a\noutput: b\nlabel: [x]\n", encoding="utf-8")
    assert main(["sample", "--config", str(config)]) == 2
    assert "label" in capsys.readouterr().err


def test_help_shows_summary_arguments_and_examples_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--help"]) == 0
    out = capsys.readouterr().out
    assert "Do a thing with 100 % care.\n\nIt takes a while." in out
    assert "vlcore sample" in out
    assert "SOURCE [QUERY]" in out
    assert "what to read, in any format." in out
    assert "-o OUTPUT, --output OUTPUT" in out or "-o, --output OUTPUT" in out  # from Python 3.13 on
    assert "(default: 10)" in out
    assert '\nexamples:\n  vlcore sample a -o b\n  vlcore sample a \\\n      -o b "100 %"\n' in out
    assert "Raises" not in out
    assert "never" not in out


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_overview_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for command in COMMANDS.values():
        assert f"  {command.name} " in out
        assert command.summary in out


def test_the_overview_survives_a_mistake_in_the_selection_of_plugins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLCORE_PLUGINS", "no_such_plugin")
    assert main([]) == 0
    assert "not listed" in capsys.readouterr().out
    assert main(["no-such-plugin", "x"]) == 2
    assert "VLCORE_PLUGINS='no_such_plugin'" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "vlcore 0.1.0\n"


def test_raw_commands_get_their_name_and_everything_else() -> None:
    assert main(["raw", "-c", "a.yaml", "--trainer.max_epochs=1", "--help"]) == 0
    assert CALLS == [{"raw": ["raw", "-c", "a.yaml", "--trainer.max_epochs=1", "--help"]}]


def test_known_errors_are_one_paragraph_and_a_traceback_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["failing", "known"]) == 2
    assert capsys.readouterr().err == "error: line 3: 'image' is missing. Add it.\n"
    for arguments in (
        ["--debug", "failing", "known"],
        ["failing", "--debug", "known"],
        ["failing", "known", "--debug"],
    ):
        assert main(arguments) == 2
        err = capsys.readouterr().err
        assert err.startswith("Traceback")
        assert err.endswith("error: line 3: 'image' is missing. Add it.\n")


def complaining(source: Path, k: int = 10, on_bad_image: str = "raise", progress: bool = True) -> None:
    """Say what is wrong as functions do, by the names of their arguments."""
    raise ConfigurationError(
        "source='a': on_bad_image='stop', k=0, progress=True and progress=False; but colours/x:k=3,most=2, data.k=2 "
        "and top_k=1 are none of its options."
    )


def test_errors_name_options_as_they_are_typed() -> None:
    with pytest.raises(ConfigurationError, match="on_bad_image='stop', k=0") as caught:
        call(complaining, "vlcore complain", ["a"])
    assert caught.value.as_typed == (
        "source='a': --on-bad-image 'stop', -k 0, --progress and --no-progress; but colours/x:k=3,most=2, data.k=2 and "
        "top_k=1 are none of its options."
    )


def test_defects_keep_their_traceback_and_ask_for_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, name in (("defect", "ZeroDivisionError"), ("missing file", "FileNotFoundError")):
        assert main(["failing", kind]) == 1
        err = capsys.readouterr().err
        assert err.startswith("Traceback")
        assert name in err
        assert "defect of vlcore. Please report it" in err


def test_a_full_disk_is_told_with_its_mend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["failing", "disk"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: No space left on device: /data/index. Free some space, or set VLCORE_CACHE")


def test_interruption_and_library_exits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["failing", "interrupt"]) == 130
    err = capsys.readouterr().err
    assert "run the same command again" in err
    assert "Traceback" not in err
    assert main(["failing", "exit"]) == 1
    assert capsys.readouterr().err == "error: gave up\n"


@pytest.mark.parametrize("buffering", ["", "1"])
def test_a_reader_that_has_enough_is_no_error(buffering: str) -> None:
    code = "import sys; from vlcore.cli.main import main; sys.exit(main(['--help']))"
    environment = {**os.environ, "PYTHONUNBUFFERED": buffering}
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        result = subprocess.run(
            [sys.executable, "-c", code], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False, env=environment
        )
    assert (result.returncode, result.stderr) == (141, "")


def test_the_package_runs_as_a_module() -> None:
    result = subprocess.run([sys.executable, "-m", "vlcore", "--version"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "vlcore 0.1.0\n")


def required_options(folder: Path, *, output: Path, model: str) -> None:
    """Keyword-only parameters are options.

    Args:
        folder: where.
        output: where to.
        model: which.
    """
    CALLS.append(dict(locals()))


def test_keyword_only_parameters_are_required_options() -> None:
    call(required_options, "vlcore x", ["a", "-m", "b", "-o", "c"])
    assert [{"folder": Path("a"), "output": Path("c"), "model": "b"}] == CALLS
    with pytest.raises(ConfigurationError, match=r"required.*model|model.*required"):
        call(required_options, "vlcore x", ["a", "-o", "c"])


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if not command.raw])
def test_every_core_command_explains_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    command = commands.COMMANDS[name]
    parser = build_parser(command.load(), f"vlcore {name}", command.positional)
    text = parser.format_help()
    assert f"  vlcore {name}" in text.partition("\nexamples:\n")[2], "a command shows examples"
    for action in parser._actions:
        assert action.help, f"{name}: {action.dest} is not explained"


def test_every_command_of_the_table_exists() -> None:
    for command in main_module.COMMANDS.values():
        module, _, attribute = command.target.partition(":")
        assert bool(module) == bool(attribute)


def test_the_program_prints_a_warning_as_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def dispatch(arguments: list[str]) -> int:
        warnings.warn("the map is wide", UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(main_module, "_dispatch", dispatch)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr("sys.argv", ["vlcore", "demo"])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main_module.main() == 0
    assert capsys.readouterr().err == "warning: the map is wide\n"
