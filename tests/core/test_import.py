"""`import vlcore` is cheap: nothing heavy is imported before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import vlcore

HEAVY = [
    *("torch", "torchvision", "lightning", "pytorch_lightning", "transformers", "timm", "numpy", "pandas", "pyarrow"),
    *("lancedb", "PIL", "omegaconf", "jsonargparse", "rich", "matplotlib", "open_clip", "datasets", "yaml"),
]

CHEAP = {
    "the package": "import vlcore",
    "its errors": "import vlcore; vlcore.VlcoreError",
    "records": "from vlcore import Record, ImageRef, Text",
    "the plugin contract": "from vlcore import Plugin, PLUGIN_API_VERSION",
    "all plugins": "from vlcore.plugins import load_plugins, registries; load_plugins(); registries().commands.names()",
    "the command line's help": "from vlcore.cli.main import main; assert main(['--help']) == 0",
    "its version": "from vlcore.cli.main import main; assert main(['--version']) == 0",
    "an unknown command": "from vlcore.cli.main import main; assert main(['serch']) == 2",
}


@pytest.mark.parametrize("code", CHEAP.values(), ids=CHEAP)
def test_nothing_heavy_is_imported(code: str) -> None:
    report = f"import sys; print('HEAVY', sorted(set({HEAVY!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "HEAVY []"


def test_every_public_name_loads_and_is_listed() -> None:
    for name in vlcore.__all__:
        assert getattr(vlcore, name) is not None
    assert dir(vlcore) == sorted(vlcore.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Modell'"):
        _ = vlcore.Modell
