"""What can be shown in a notebook's cell."""

import importlib
import sys
from typing import Any


def in_notebook() -> bool:
    """Whether this is a notebook's process, as those of Jupyter are. IPython in a terminal is not one."""
    ipython = sys.modules.get("IPython")  # a notebook has imported it
    return hasattr(ipython and ipython.get_ipython(), "kernel")


class NotebookLine:
    """A stream for a bar of tqdm: what is written takes the place of what was, in one line of the cell.

    On standard error each would be a new line, wherever a notebook is saved or shown as a page.
    """

    encoding = "utf-8"  # for tqdm, which draws with these letters

    def __init__(self) -> None:
        self.shown: Any = None

    def write(self, text: str) -> None:
        """Show a line in place of the last one."""
        line = {"text/plain": text.strip("\r\n")}
        if not text.strip():
            return
        if self.shown is None:
            display = importlib.import_module("IPython.display").display
            self.shown = display(line, raw=True, display_id=True)
        else:
            self.shown.update(line, raw=True)

    def flush(self) -> None:
        """Nothing is held back."""
