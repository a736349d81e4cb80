"""The notebooks of the docs run from their first cell to their last, in a real kernel."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image, ImageStat

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOKS = sorted(DOCS.rglob("*.ipynb"))
STRIP = re.compile(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)")


def colour(photo: Image.Image) -> float:
    """Mean saturation, 0 to 255."""
    return ImageStat.Stat(photo.convert("HSV")).mean[1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_runs_and_shows_what_it_speaks_of(path, tmp_path, monkeypatch):
    import nbclient
    import nbformat

    # Kernels write where they listen into the home folder, and IPython its history.
    for variable in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / "jupyter"))
    notebook = nbformat.read(path, as_version=4)
    folder = tmp_path / "work"
    folder.mkdir()
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    client.execute()
    shown = json.dumps(notebook.cells)
    assert "<svg" in shown, "the split's long tail"
    strip = [Image.open(io.BytesIO(base64.b64decode(data))) for data in STRIP.findall(shown)]
    # What is of no known taxon is drawn grey in grey.
    assert min(colour(photo) for photo in strip) > 20, "a strip of photos of birds"
    bars = [
        output["text"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    ]
    assert "download: 100%" in "".join(bars)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_is_kept_without_what_a_run_left_in_it(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
