"""`vlcore doctor`: facts, problems with their mend, exit code."""

from __future__ import annotations

import json
import os
import shutil
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from vlcore.cli import doctor as module
from vlcore.cli import environment
from vlcore.cli.doctor import examine
from vlcore.cli.main import main


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that can be written, and no plugins that are not vlcore's own."""
    monkeypatch.setenv("VLCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VLCORE_PLUGINS", raising=False)
    return tmp_path / "cache"


def findings(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of the command."""
    code = main(["doctor", "--format", "json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_json_holds_the_facts_of_this_machine(capsys: pytest.CaptureFixture[str], cache_folder: Path) -> None:
    import torch

    code, found = findings(capsys)
    assert (code, found["problems"]) == (0, [])
    assert found["versions"]["vlcore"] == "0.1.0"
    assert found["libraries"]["torch"] == {
        "version": torch.__version__.partition("+")[0],
        "wanted": ">=2.6",
        "ok": True,
    }
    assert found["device"]["type"] in ("cpu", "cuda", "mps")
    assert found["device"]["precision"] in ("32-true", "16-mixed", "bf16-mixed")
    assert 1 <= found["device"]["cores"] <= (os.cpu_count() or 1)
    assert found["device"]["threads"] == torch.get_num_threads()
    assert found["cache"] == {
        "folder": str(cache_folder),
        "writable": True,
        "free_gib": pytest.approx(free(cache_folder.parent), abs=1.0),
    }
    assert found["hub"]["offline"] is True  # the tests set it
    assert not cache_folder.exists(), "looking changes nothing"


def free(folder: Path) -> float:
    """Free disk space by another way."""
    statistics = os.statvfs(folder)
    return statistics.f_bavail * statistics.f_frsize / 2**30


def test_the_table_ends_with_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in ("torch", "advised precision", "cache folder", "remote_sensing", "needs extra", "starter"):
        assert word in out
    assert out.splitlines()[-1] == "All is well." or "Advice:" in out


def test_every_extra_of_a_user_is_listed_with_what_installs_it() -> None:
    extras = environment.extras()
    assert {"starter", "medical", "surgical", "comics"} <= set(extras)
    assert not {"dev", "bench", "all"} & set(extras)
    for name, extra in extras.items():
        assert extra["installed"] == (not extra["missing"])
        assert extra["mend"] == ("" if extra["installed"] else f'pip install "vlcore[{name}]"')


def test_an_old_or_absent_library_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = environment.requires("vlcore") or []
    wanted = [*real, "numpy>=99", "no-such-library-anywhere>=2"]
    monkeypatch.setattr(environment, "requires", lambda name: wanted)
    code, found = findings(capsys)
    assert code == 1
    assert any(
        "numpy>=99 is needed, version" in line and 'pip install "numpy>=99"' in line for line in found["problems"]
    )
    assert (
        'no-such-library-anywhere>=2 is needed, it is not installed: pip install "no-such-library-anywhere>=2"'
        in (found["problems"])
    )
    assert main(["doctor"]) == 1
    assert "To mend:" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VLCORE_CACHE", str(tmp_path / "file" / "cache"))
    found = examine()
    assert found["cache"]["writable"] is False
    assert any("cannot be written: set VLCORE_CACHE" in line for line in found["problems"])


def test_a_mistaken_selection_of_plugins_is_a_problem_and_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLCORE_PLUGINS", "no_such_plugin")
    found = examine()
    assert [line for line in found["problems"] if "no_such_plugin" in line]
    assert found["device"]["cores"] >= 1
    module._print(found)


def test_a_device_that_cannot_be_asked_is_a_problem_and_hides_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> dict[str, Any]:
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr(environment, "device", broken)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "device: OSError: libcudart.so.13" in out
    assert "cache folder" in out


def test_too_many_threads_and_a_full_disk_are_advised_against() -> None:
    found = examine()
    found["device"] |= {"threads": 64, "cores": 2}
    found["cache"] |= {"free_gib": 0.5}
    advice = "\n".join(module._advice(found))
    assert "64 threads on 2 cores" in advice
    assert "OMP_NUM_THREADS=2" in advice
    assert "Only 0.5 GiB are free" in advice


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed distribution whose files can be harmed: a copy of a small real one."""
    source = distribution("braceexpand")
    for file in source.files or []:
        target = tmp_path / "site" / str(file)
        if ".." not in str(file) and Path(str(file.locate())).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), target)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return next((tmp_path / "site" / "braceexpand").glob("__init__.py"))


def test_damaged_starter_files_are_found(wheel: Path) -> None:
    requirement = Requirement("braceexpand==0.1.7")
    assert environment._starter_tower(requirement, verify=True)["state"] == "verified"
    content = wheel.read_bytes()
    # The same size with one bit changed shows only in the checksum.
    wheel.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert environment._starter_tower(requirement, verify=False)["state"] == "present"
    damaged = environment._starter_tower(requirement, verify=True)
    assert damaged["state"] == "damaged"
    assert str(wheel) in damaged["message"]
    assert "pip install --force-reinstall --no-deps braceexpand==0.1.7" in damaged["message"]
    wheel.write_bytes(content[:-1])
    assert environment._starter_tower(requirement, verify=False)["state"] == "damaged"
    wheel.unlink()
    assert environment._starter_tower(requirement, verify=False)["state"] == "damaged"


def test_a_missing_starter_tower_is_advice_and_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    real = [line for line in environment.requires("vlcore") or [] if "starter" not in line]
    monkeypatch.setattr(environment, "requires", lambda name: [*real, "no-such-tower==1; extra == 'starter'"])
    found = examine()
    assert found["problems"] == []
    assert [one["state"] for one in found["starter"]] == ["missing"]
    assert any('pip install "vlcore[starter]"' in line for line in found["advice"])


def test_a_broken_plugin_is_a_problem() -> None:
    found = examine()
    found["plugins"] = [
        {"name": "geology", "distribution": "vlcore-geology", "state": "broken", "message": "importing failed"},
        {"name": "botany", "distribution": "d", "state": "needs extra", "message": "needs: pip"},
    ]
    assert list(module._problems(found)) == ["The plugin geology (vlcore-geology) is broken: importing failed"]


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 4), ("200000 100000", 2), ("50000 100000", 1), ("", 4), ("900000 100000", 4)]
)
def test_the_limits_of_a_container_count(monkeypatch: pytest.MonkeyPatch, quota: str, cores: int) -> None:
    monkeypatch.setattr(environment, "_read", lambda path: quota if path.endswith("cpu.max") else "")
    monkeypatch.setattr(environment.os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    assert environment.cores() == cores
