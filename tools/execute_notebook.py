# ruff: noqa: INP001 - a script, no package
"""Executes notebooks in place and writes them with their outputs, and with nothing that differs from run to run.

python tools/execute_notebook.py examples/notebook/wind-and-prices.ipynb
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config


def execute(path: Path) -> None:
    """Execute a notebook in its folder; raise nbclient's CellExecutionError for a cell that fails."""
    notebook = nbformat.read(path, as_version=4)
    metadata = notebook.metadata.copy()
    with tempfile.TemporaryDirectory() as folder:  # its path is short, as those of sockets must be
        os.environ.update(JUPYTER_RUNTIME_DIR=folder, IPYTHONDIR=folder)
        # The kernel listens on sockets in the folder, and not on ports of this machine.
        config = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        resources = {"metadata": {"path": str(path.parent)}}
        NotebookClient(
            notebook, config=config, timeout=None, record_timing=False, resources=resources
        ).execute()
    notebook.metadata = metadata  # without the versions of this machine
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        execute(Path(name).resolve())
