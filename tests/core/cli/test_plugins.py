"""`vlcore plugins`: the table and its JSON."""

from __future__ import annotations

import json

import pytest

from vlcore.cli import plugins as module
from vlcore.cli.main import main
from vlcore.plugins import PluginStatus

STATUSES = [
    PluginStatus("botany", "vlcore-botany", "2.0", "ok", "", "leaves"),
    PluginStatus("geology", "vlcore-geology", "1.2", "needs extra", 'needs: pip install "vlcore-geology[full]"'),
    PluginStatus(
        "rocks", "vlcore-rocks", "0.1", "broken", "importing 'a:b' failed: ImportError: [bold]", "", 0.1, "Tr"
    ),
]


@pytest.fixture
def statuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three plugins in three states."""
    monkeypatch.setattr(module, "load_plugins", lambda: STATUSES)
    monkeypatch.setenv("COLUMNS", "120")


def test_the_table_has_name_distribution_version_and_status(statuses: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    cells = [line.split(maxsplit=3) for line in lines]
    assert ["name", "distribution", "version", "status"] in cells
    assert ["botany", "vlcore-botany", "2.0", "ok"] in cells
    assert ["geology", "vlcore-geology", "1.2", 'needs: pip install "vlcore-geology[full]"'] in cells
    assert ["rocks", "vlcore-rocks", "0.1", "broken"] in cells
    assert lines[-1] == "rocks (vlcore-rocks) is broken: importing 'a:b' failed: ImportError: [bold]"


def test_json_holds_messages_names_and_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["plugin_api"] == 1
    bundled = {one["name"]: one for one in found["plugins"] if one["distribution"] == "vlcore"}
    assert set(bundled) == {"medical", "remote_sensing", "surgical", "comics"}
    assert "medical/covid_cxr" in bundled["medical"]["registers"]["readers"]
    assert bundled["medical"]["registers"]["prompts"] == ["medical/chest_xray"]
    assert bundled["comics"]["traceback"] == ""
    assert bundled["comics"]["state"] in ("ok", "needs extra")


def test_no_plugins_at_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "load_plugins", list)
    assert main(["plugins"]) == 0
    assert capsys.readouterr().out == "No plugins are installed.\n"
