"""Entry of the command line: finds the command, runs it, turns errors into one readable paragraph."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from vlcore.cli.commands import COMMANDS
from vlcore.cli.console import print_error
from vlcore.errors import PluginError, UnknownNameError, VlcoreError

USER_MISTAKE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count
BROKEN_PIPE = 141  # 128 + SIGPIPE

# Faults of the machine that a user can mend, unlike a missing file, which may be a defect of ours.
_MENDS = {
    errno.ENOSPC: "Free some space, or set VLCORE_CACHE to a folder on another disk, and run the same command again.",
    errno.EDQUOT: "Your quota is used up: free some space and run the same command again.",
    errno.EACCES: "Change its rights, or choose another place.",
    errno.EROFS: "That place is read-only: choose another one.",
}


def main(args: list[str] | None = None) -> int:
    """Run `vlcore`.

    Args:
        args: arguments without the program's name; by default those of the process.

    Returns:
        Exit code: 0, what the command returned, 1 for a defect, 2 for a mistake of the user, 130 when interrupted.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    debug = _take_debug(arguments)
    if args is None:  # as a program: a warning is a line for the user, not a place in our code
        warnings.showwarning = _show_warning
    try:
        code = _dispatch(arguments)
        # Flushed here, so that a closed pipe shows now and not while Python shuts down.
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # --help, and libraries that end the process themselves
        return _exit_code(stop)
    except VlcoreError as error:
        _show(error.as_typed or str(error), debug)
        return USER_MISTAKE
    except KeyboardInterrupt as stop:
        go_on = str(stop) or "run the same command again and it goes on from what is finished."
        print(f"\nStopped. Nothing is left half-written; {go_on}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has enough. What is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _MENDS:
            _show(f"{error.strerror}: {error.filename or 'while writing'}. {_MENDS[error.errno]}", debug)
            return USER_MISTAKE
        traceback.print_exc()
        print_error("This is a defect of vlcore. Please report it with the lines above and what `vlcore doctor` says.")
        return 1


def _show_warning(message: Warning | str, category: type[Warning], *place: object, **more: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _take_debug(arguments: list[str]) -> bool:
    """Remove `--debug` from anywhere before a lone `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [argument for argument in arguments[:end] if argument != "--debug"]
    arguments[:end] = kept
    return len(kept) < end


def _show(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print_error(message)


def _exit_code(stop: SystemExit) -> int:
    if isinstance(stop.code, str):
        print_error(stop.code)
        return 1
    return stop.code or 0


def _dispatch(arguments: list[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if name in ("-V", "--version"):
        from vlcore import __version__

        print(f"vlcore {__version__}")
        return 0
    command = COMMANDS.get(name)
    if command is None:
        return _run_plugin_command(name.replace("_", "-"), rest)
    if command.raw:
        return _code(command.load()([name, *rest]))
    from vlcore.cli.arguments import call

    return _code(call(command.load(), f"vlcore {name}", rest, command.positional))


def _code(result: object) -> int:
    """A command's return value is its exit code if it is a number."""
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _overview() -> str:
    lines = [
        "usage: vlcore COMMAND [ARGUMENTS]",
        "",
        "Search, classify and evaluate images of your domain by words.",
    ]
    groups: dict[str, list[tuple[str, str]]] = {}
    for command in COMMANDS.values():
        groups.setdefault(command.group, []).append((command.name, command.summary))
    try:
        for group, commands in _plugin_commands().items():
            for name, summary in commands.items():
                groups.setdefault("From plugins", []).append((f"{group} {name}", summary))
        note = ""
    except VlcoreError as error:
        note = f"\n\nThe commands of plugins are not listed: {error}"
    width = max(len(name) for commands in groups.values() for name, _ in commands) + 2
    for group, commands_of_group in groups.items():
        lines += ["", f"{group}:", *(f"  {name:<{width}}{summary}" for name, summary in commands_of_group)]
    lines += [
        "",
        "vlcore COMMAND --help explains a command with examples; --debug shows where an error comes from;",
        "vlcore --version prints the version. Start with: vlcore demo",
    ]
    return "\n".join(lines) + note


def _plugin_commands() -> dict[str, dict[str, str]]:
    """Summaries of the plugins' commands by plugin (with dashes) and name."""
    from vlcore.plugins import registries

    groups: dict[str, dict[str, str]] = {}
    for full_name, entry in sorted(registries().commands.entries().items()):
        group, _, name = full_name.partition("/")
        groups.setdefault(group, {})[name] = entry.summary
    return groups


def _run_plugin_command(group: str, arguments: Sequence[str]) -> int:
    from vlcore.plugins import load_plugins, registries

    commands = _plugin_commands().get(group)
    if commands is None:
        for status in load_plugins():
            if status.name.replace("_", "-") == group:
                reason = status.message or "it brings none."
                raise PluginError(f"The plugin {status.name!r} has no command to run: {reason} (see: vlcore plugins)")
        raise UnknownNameError("command", group, [*COMMANDS, *_plugin_commands()], "See: vlcore --help")
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, commands)) + 2
        print(f"usage: vlcore {group} COMMAND [ARGUMENTS]\n")
        print("\n".join(f"  {name:<{width}}{summary}" for name, summary in commands.items()))
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in commands:
        raise UnknownNameError(f"command of the plugin {group}", name, commands, f"See: vlcore {group} --help")
    entry = registries().commands.entry(f"{group}/{name}")
    try:
        function = entry.load()
    except VlcoreError:
        raise
    except Exception as error:
        raise PluginError(
            f"The command '{group} {name}' of the distribution {entry.owner!r} cannot be imported: {error}. "
            f"Upgrade {entry.owner}, or report it to its authors."
        ) from error
    from vlcore.cli.arguments import call

    return _code(call(function, f"vlcore {group} {name}", rest))


if __name__ == "__main__":
    sys.exit(main())
