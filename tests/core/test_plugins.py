"""Plugins: found as pip installs them, loaded in isolation, each failure told apart."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vlcore import plugins as module
from vlcore.errors import ConfigurationError, MissingDependencyError, UnknownNameError
from vlcore.plugins import PluginStatus, load_plugins, registries

REPOSITORY = Path(__file__).resolve().parents[2]

HEALTHY = """
from vlcore.plugins import Plugin

def register(registries):
    registries.readers.register("{name}/cores", "{module}:read", summary="drill cores")
    registries.commands.register("{name}/count", "{module}:read")

def read(path):
    return []

PLUGIN = Plugin("{name}", register, requires={requires}, extra="{extra}", summary="rocks")
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Write plugins with the metadata that pip leaves; only plugins named by a test are allowed to load."""
    before = set(sys.modules)
    names: list[str] = []

    def write(
        name: str,
        code: str = HEALTHY,
        distribution: str = "vlcore-geology",
        version: str = "1.2",
        folder: str = "site",
        target: str = "PLUGIN",
        requires: tuple[str, ...] = (),
        extra: str = "",
    ) -> None:
        site = tmp_path / folder
        site.mkdir(exist_ok=True)
        package = f"{distribution.replace('-', '_').lower()}_{name}"
        filled = code.format(name=name, module=package, requires=requires, extra=extra) if code is HEALTHY else code
        (site / f"{package}.py").write_text(filled, encoding="utf-8")
        metadata = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(exist_ok=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        line = f"{name} = {package}:{target}\n"
        with (metadata / "entry_points.txt").open("a", encoding="utf-8") as entry_points:
            header = "" if entry_points.tell() else "[vlcore.plugins]\n"
            entry_points.write(header + line)
        if str(site) not in sys.path:
            monkeypatch.syspath_prepend(str(site))
        names.append(name)
        monkeypatch.setenv("VLCORE_PLUGINS", ",".join(names))
        importlib.invalidate_caches()
        module._load.cache_clear()

    yield write
    module._load.cache_clear()
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def status_of(name: str) -> PluginStatus:
    """The only status of a plugin."""
    (status,) = [status for status in load_plugins() if status.name == name]
    return status


def test_a_healthy_plugin_is_listed_and_its_names_belong_to_its_distribution(install: Install) -> None:
    install("geology")
    status = status_of("geology")
    assert (status.distribution, status.version, status.state) == ("vlcore-geology", "1.2", "ok")
    assert (status.message, status.summary) == ("", "rocks")
    entry = registries().readers.entry("geology/cores")
    assert (entry.owner, entry.summary) == ("vlcore-geology", "drill cores")
    assert registries().readers.get("geology/cores")("anywhere") == []


def test_core_names_are_there_without_any_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "none", " , "):
        monkeypatch.setenv("VLCORE_PLUGINS", value)
        assert "linear" in registries().heads
        assert not [name for registry in registries().all().values() for name in registry if "/" in name]
        assert {status.state for status in load_plugins()} <= {"disabled"}


def test_every_core_name_can_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLCORE_PLUGINS", "none")
    loaded = {name: registry.get(name) for registry in registries().all().values() for name in registry}
    assert all(callable(thing) for thing in loaded.values()), loaded
    assert loaded["star_mlp"].__name__ == "StarMLPHead"


def test_a_plugin_without_its_extra_is_listed_and_says_what_to_install(install: Install) -> None:
    install("geology", requires=("no_such_module_anywhere",), extra="full")
    status = status_of("geology")
    assert status.state == "needs extra"
    assert status.message == 'needs: pip install "vlcore-geology[full]"'
    assert status.healthy
    assert "geology/cores" in registries().readers
    for registry, name in ((registries().readers, "geology/cores"), (registries().commands, "geology/count")):
        with pytest.raises(MissingDependencyError, match=r'geology/.*pip install "vlcore-geology\[full\]"'):
            registry.get(name)


def test_required_modules_are_looked_for_and_not_imported(install: Install) -> None:
    install("geology", requires=("antigravity", "xml.dom.nothing_here"), extra="full")
    assert status_of("geology").state == "ok"
    assert "antigravity" not in sys.modules


BROKEN = {
    "import error": ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
    "syntax error": ("def :", "SyntaxError"),
    "exit while importing": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "no such attribute": ("OTHER = 1", "has no attribute 'PLUGIN'"),
    "wrong type": ("PLUGIN = 3", "is of type int; it must be a vlcore.Plugin"),
    "a class": ("from vlcore.plugins import Plugin as PLUGIN", "is of type type"),
    "other name": (
        "from vlcore.plugins import Plugin\nPLUGIN = Plugin('other', print)",
        "The entry point is named 'geology' and its Plugin 'other'",
    ),
    "requires as a string": (
        "from vlcore.plugins import Plugin\nPLUGIN = Plugin('geology', print, requires='numpy', extra='x')",
        "requires='numpy' must be a tuple",
    ),
    "requires without an extra": (
        "from vlcore.plugins import Plugin\nPLUGIN = Plugin('geology', print, requires=('numpy',))",
        "must name the extra",
    ),
    "requires that cannot be read": (
        "from vlcore.plugins import Plugin\nPLUGIN = Plugin('geology', print, requires=7)",
        "TypeError",
    ),
    "version as a string": (
        "from vlcore.plugins import Plugin\nPLUGIN = Plugin('geology', print, api_version='1')",
        "api_version='1' must be a whole number",
    ),
    "name without prefix": (
        "from vlcore.plugins import Plugin\n"
        "PLUGIN = Plugin('geology', lambda registries: registries.heads.register('linear', 'a:b'))",
        "The head name 'linear' of the distribution 'vlcore-geology' must be 'geology/' and a name",
    ),
    "name of another plugin": (
        "from vlcore.plugins import Plugin\n"
        "PLUGIN = Plugin('geology', lambda registries: registries.heads.register('geo/x', 'a:b'))",
        "must be 'geology/' and a name",
    ),
    "empty name": (
        "from vlcore.plugins import Plugin\n"
        "PLUGIN = Plugin('geology', lambda registries: registries.heads.register('geology/', 'a:b'))",
        "must be 'geology/' and a name",
    ),
}


@pytest.mark.parametrize(("code", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_told_and_changes_nothing_else(install: Install, code: str, message: str) -> None:
    install("geology", code)
    install("botany", distribution="vlcore-botany")
    status = status_of("geology")
    assert status.state == "broken"
    assert not status.healthy
    assert message in status.message
    assert status_of("botany").state == "ok"
    assert "botany/cores" in registries().readers
    assert "linear" in registries().heads
    assert not [name for registry in registries().all().values() for name in registry if name.startswith("geology")]


def test_a_plugin_that_fails_half_way_leaves_nothing(install: Install) -> None:
    code = (
        "from vlcore.plugins import Plugin\n"
        "def register(registries):\n"
        "    registries.readers.register('geology/cores', 'a:b')\n"
        "    raise RuntimeError('no licence server')\n"
        "PLUGIN = Plugin('geology', register)\n"
    )
    install("geology", code)
    status = status_of("geology")
    assert "register function failed: RuntimeError: no licence server" in status.message
    assert "Upgrade or uninstall vlcore-geology" in status.message
    assert "line 4, in register" in status.traceback
    with pytest.raises(UnknownNameError, match=r"no reader named 'geology/cores'.*'geology' is broken: .*no licence"):
        registries().readers.get("geology/cores")


def test_a_name_registered_twice_is_an_error_that_names_the_owner(install: Install) -> None:
    code = (
        "from vlcore.plugins import Plugin\n"
        "def register(registries):\n"
        "    registries.readers.register('geology/cores', 'a:b')\n"
        "    registries.readers.register('geology/cores', 'a:c')\n"
        "PLUGIN = Plugin('geology', register)\n"
    )
    install("geology", code)
    assert "'geology/cores' is claimed by both 'vlcore-geology' and 'vlcore-geology'" in status_of("geology").message


def test_commands_are_prefixed_with_dashes(install: Install) -> None:
    template = (
        "from vlcore.plugins import Plugin\n"
        "PLUGIN = Plugin('rock_types', lambda registries: registries.commands.register('%s/count', print))\n"
    )
    install("rock_types", template % "rock-types")
    assert "rock-types/count" in registries().commands
    install("rock_types2", template.replace("'rock_types'", "'rock_types2'") % "rock_types2", distribution="d2")
    assert "must be 'rock-types2/'" in status_of("rock_types2").message


@pytest.mark.parametrize(("version", "mend"), [(0, "vlcore-geology"), (2, "vlcore")])
def test_another_api_version_says_what_to_upgrade(install: Install, version: int, mend: str) -> None:
    install("geology", f"from vlcore.plugins import Plugin\nPLUGIN = Plugin('geology', print, api_version={version})")
    status = status_of("geology")
    assert status.state == "incompatible"
    assert f"plugin API {version}, this vlcore has 1" in status.message
    assert status.message.endswith(f"pip install --upgrade {mend}")


def test_two_distributions_with_one_plugin_name_are_both_named_and_neither_loads(install: Install) -> None:
    install("geology", distribution="vlcore-geology")
    install("geology", distribution="rock-tools")
    found = [status for status in load_plugins() if status.name == "geology"]
    assert {status.distribution for status in found} == {"vlcore-geology", "rock-tools"}
    for status in found:
        assert status.state == "broken"
        assert "'rock-tools' and 'vlcore-geology'" in status.message
    assert "geology/cores" not in registries().readers
    assert "linear" in registries().heads


def test_one_distribution_found_twice_is_one_plugin(install: Install, tmp_path: Path) -> None:
    # What an editable install beside the metadata of an earlier one looks like; spellings differ too.
    install("geology", distribution="vlcore-geology", version="1.2", folder="site")
    install("geology", distribution="Vlcore_Geology", version="1.1", folder="stale")
    assert status_of("geology").state == "ok"


def test_of_repeated_metadata_the_first_on_the_path_counts() -> None:
    def point(distribution: str, version: str, value: str) -> Any:
        return SimpleNamespace(name="geology", value=value, dist=SimpleNamespace(name=distribution, version=version))

    points = [point("vlcore-geology", "1.2", "a:P"), point("vlcore_geology", "1.1", "a:P"), point("rock", "1", "a:P")]
    assert [one.dist.version for one in module._distinct(points)] == ["1", "1.2"]


def test_damaged_metadata_is_no_obstacle() -> None:
    class Damaged:
        @property
        def name(self) -> str:
            raise KeyError("Name")

    point: Any = SimpleNamespace(name="geology", value="a:P", dist=Damaged())
    assert module._origin(point) == ("unknown", "?")


def test_the_selection_switches_plugins_off_without_importing_them(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("geology")
    install("botany", "raise AssertionError('imported')", distribution="vlcore-botany")
    monkeypatch.setenv("VLCORE_PLUGINS", "geology")
    status = status_of("botany")
    assert (status.state, status.distribution, status.version) == ("disabled", "vlcore-botany", "1.2")
    assert status.healthy
    assert "geology/cores" in registries().readers
    with pytest.raises(UnknownNameError, match=r"'botany' is disabled: Add botany to .*VLCORE_PLUGINS"):
        registries().readers.get("botany/leaves")


def test_an_unknown_name_in_the_selection_is_an_error_that_lists_the_known(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("geology")
    monkeypatch.setenv("VLCORE_PLUGINS", "geology,geologie")
    with pytest.raises(ConfigurationError, match=r"VLCORE_PLUGINS='geology,geologie' names 'geologie'.*geology"):
        load_plugins()


def test_a_slow_import_is_noted(install: Install) -> None:
    install(
        "geology", f"import time\ntime.sleep(0.6)\n{HEALTHY.format(name='geology', module='m', requires=(), extra='')}"
    )
    status = status_of("geology")
    assert status.state == "ok"
    assert status.seconds > 0.5
    assert "delays every command" in status.message


def test_bundled_plugins_are_listed_whatever_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLCORE_PLUGINS", raising=False)
    found = {status.name: status for status in load_plugins() if status.distribution == "vlcore"}
    assert set(found) == {"medical", "remote_sensing", "surgical", "comics"}
    for name, status in found.items():
        assert status.state in ("ok", "needs extra"), status
        if status.state == "needs extra":
            assert status.message == f'needs: pip install "vlcore[{name}]"'


def test_a_plugin_from_a_wheel_brings_a_reader_and_a_command(tmp_path: Path) -> None:
    site = tmp_path / "site"
    build_and_install(tmp_path / "source", site)
    (tmp_path / "rocks.txt").write_text("basalt\ngranite\n", encoding="utf-8")

    listed = run_vlcore(site, "plugins")
    assert listed.returncode == 0, listed.stderr
    assert [line.split() for line in listed.stdout.splitlines() if "geology" in line] == [
        ["geology", "vlcore-geology-example", "0.3", "ok"]
    ]
    overview = run_vlcore(site, "--help")
    assert "geology count" in overview.stdout

    counted = run_vlcore(site, "geology", "count", str(tmp_path / "rocks.txt"), "--unit", "stones")
    assert (counted.returncode, counted.stdout) == (0, "2 stones: basalt, granite\n"), counted.stderr
    explained = run_vlcore(site, "geology", "count", "--help")
    assert "Count the rocks of a list." in explained.stdout
    assert "vlcore geology count rocks.txt" in explained.stdout
    mistaken = run_vlcore(site, "geology", "cuont")
    assert mistaken.returncode == 2
    assert "Did you mean count?" in mistaken.stderr
    failing = run_vlcore(site, "geology", "count", "nowhere.txt")
    assert failing.returncode == 2
    assert failing.stderr == "error: nowhere.txt is no list of rocks.\n"


def build_and_install(source: Path, site: Path) -> None:
    """Build the example plugin into a wheel and install it into a folder, as its users would."""
    package = source / "vlcore_geology_example"
    package.mkdir(parents=True)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "vlcore-geology-example"\nversion = "0.3"\n'
        '[project.entry-points."vlcore.plugins"]\ngeology = "vlcore_geology_example.plugin:PLUGIN"\n'
    )
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(
        "from vlcore import PLUGIN_API_VERSION, Plugin\n"
        "def register(registries):\n"
        "    registries.readers.register('geology/rocks', 'vlcore_geology_example.rocks:read_rocks')\n"
        "    registries.commands.register('geology/count', 'vlcore_geology_example.rocks:count', summary='count')\n"
        "PLUGIN = Plugin('geology', register, api_version=PLUGIN_API_VERSION)\n"
    )
    (package / "rocks.py").write_text(
        "from __future__ import annotations\n"
        "from pathlib import Path\n"
        "from vlcore import ImageRef, Record, Text, VlcoreError\n"
        "from vlcore.plugins import registries\n"
        "def read_rocks(path: Path) -> list[Record]:\n"
        "    if not path.is_file():\n"
        "        raise VlcoreError(f'{path} is no list of rocks.')\n"
        "    return [Record(name, ImageRef(Path(name)), (Text(name),)) for name in path.read_text().split()]\n"
        "def count(path: Path, unit: str = 'rocks') -> None:\n"
        '    """Count the rocks of a list.\n\n'
        "    Args:\n        path: a text file.\n        unit: what to call them.\n\n"
        '    Examples:\n        vlcore geology count rocks.txt\n    """\n'
        "    records = registries().readers.get('geology/rocks')(path)\n"
        "    print(f\"{len(records)} {unit}: {', '.join(record.id for record in records)}\")\n"
    )
    build_wheel(source, source / "dist")
    (wheel,) = (source / "dist").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True, text=True)


def build_wheel(project: Path, output: Path) -> None:
    """Build a wheel with what is installed, so that no network is needed."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(output), str(project)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def run_vlcore(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run vlcore in a process of its own that sees a folder of installed packages."""
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "120"}
    environment.pop("VLCORE_PLUGINS", None)
    command = [sys.executable, "-m", "vlcore.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_the_wheel_of_vlcore_holds_every_package(tmp_path: Path) -> None:
    build_wheel(REPOSITORY, tmp_path)
    (wheel,) = tmp_path.glob("vlcore-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    for package in ("vlcore", "vlcore_medical", "vlcore_remote_sensing", "vlcore_surgical", "vlcore_comics"):
        assert f"{package}/__init__.py" in names
        assert f"{package}/py.typed" in names
    sources = {path.relative_to(REPOSITORY / "core").as_posix() for path in (REPOSITORY / "core/vlcore").rglob("*")}
    expected = {name for name in sources if Path(name).suffix in (".py", ".html", ".yaml", ".j2", ".css")}
    assert expected <= names
    assert "vlcore = vlcore.cli.main:main" in entry_points
    for name in ("medical", "remote_sensing", "surgical", "comics"):
        assert f"{name} = vlcore_{name}.plugin:PLUGIN" in entry_points
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "plugins"))]
