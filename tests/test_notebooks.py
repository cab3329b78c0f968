"""The notebooks of docs/notebooks run from the first cell to the last, whose assertions hold, and are kept without outputs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ENVIRONMENT

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

pytestmark = [
    pytest.mark.skipif(not NOTEBOOKS, reason="the notebooks are part of a checkout and of the source distribution only"),
    pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS]),
]


def test_outputs_are_not_kept(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    assert path.stat().st_size < 10_000
    assert path.name in (FOLDER.parent / "notebooks.md").read_text("utf-8")


# In a process of its own: the client leaves sockets open. The kernel is run by the Python that has this charrnn, whatever is registered.
RUN = """
import sys
import nbformat
from jupyter_client import KernelManager
from nbclient import NotebookClient

manager = KernelManager()
manager.kernel_spec.argv[0] = sys.executable
done = NotebookClient(nbformat.read(sys.argv[1], as_version=4), timeout=120, km=manager).execute()
print(sum("image/png" in output.get("data", {}) for cell in done.cells for output in cell.get("outputs", ())))
"""


def test_every_cell_runs(path, tmp_path):
    for module in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(module)
    environment = ENVIRONMENT | {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "JUPYTER_PLATFORM_DIRS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) == {"first_run": 1, "check_my_gradients": 0, "what_an_lstm_remembers": 2}[path.stem]
