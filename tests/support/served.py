"""The studio as a program of its own, and its page in a browser."""

import base64
import contextlib
import re

from tests.support.command import start

STUDIO = ("-m", "nnstyle.studio")
ADDRESS = re.compile(r"Open (http://127\.0\.0\.1:(\d+)/)\?token=([\w-]+)\n")

DROP = """([id, name, data]) => {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  const event = new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true});
  document.getElementById(id).dispatchEvent(event);
}"""

# Everything that axe finds, in one line each.
AXE = """async () => {
  const {violations} = await axe.run(document, {resultTypes: ["violations"]});
  return violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 100)}`));
}"""


class Server:
    """A server that has been started: its port, its token, and the address to open."""

    def __init__(self, process):
        self.process = process
        base, self.port, self.token = ADDRESS.fullmatch(process.stdout.readline()).groups()
        self.address = f"{base}?token={self.token}"


@contextlib.contextmanager
def served(folder, *arguments, port=0, threads=1):
    """A server in a folder, ended with the block if it has not ended by then."""
    with start(folder, "--port", port, "--threads", threads, *arguments, program=STUDIO) as process:
        try:
            yield Server(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def drop(page, where, name, data):
    """Drop a file on an element of the page."""
    page.evaluate(DROP, [where, name, base64.b64encode(data).decode()])
