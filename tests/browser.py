"""A headless Chromium that tests drive through its debugging pipe: pages are opened, and code of the test's own runs in them."""

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None or os.name == "nt", reason="no Chromium is installed here")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe")
START = """import fcntl, os, sys
pipes = [fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3]]
os.dup2(pipes[0], 3)
os.dup2(pipes[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""  # the browser reads from 3 and writes to 4
UNTIL = "const until = async (fine) => { while (!fine()) await new Promise((go) => setTimeout(go, 5)); };"


class Browser:
    """One process with one tab. See https://chromedevtools.github.io/devtools-protocol/ for the methods that `ask` takes."""

    def __init__(self, profile: Path) -> None:
        theirs, self._out = os.pipe()
        self._in, answers = os.pipe()
        command = [sys.executable, "-c", START, str(theirs), str(answers), CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, pass_fds=(theirs, answers), **quiet)
        os.close(theirs)
        os.close(answers)
        self._rest, self._number, self._session, self._is_loaded = b"", 0, {}, False
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        self.ask("Page.enable")

    def ask(self, method, **parameters):
        """What the browser answers to a method."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters} | self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        found = self._wait(lambda answer: answer.get("id") == self._number)
        assert "error" not in found, found
        return found["result"]

    def _wait(self, wanted):
        while True:
            while b"\0" not in self._rest:
                assert select.select([self._in], [], [], 60)[0], "the browser does not answer"
                piece = os.read(self._in, 1 << 16)
                assert piece, "the browser has ended"
                self._rest += piece
            message, self._rest = self._rest.split(b"\0", 1)
            found = json.loads(message)
            self._is_loaded |= found.get("method") == "Page.loadEventFired"  # which may come before the answer to Page.navigate
            if wanted(found):
                return found

    def open(self, page: str, file: Path) -> None:
        """Load a page from a file, which is written."""
        file.write_text(page, "utf-8")
        self._is_loaded = False
        self.ask("Page.navigate", url=file.as_uri())
        if not self._is_loaded:
            self._wait(lambda _: self._is_loaded)

    def run(self, code: str):
        """What the body of an async function returns in the page; what it raises fails the test."""
        found = self.ask("Runtime.evaluate", expression=f"(async () => {{ {UNTIL} {code} }})()", awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def close(self) -> None:
        """End the process."""
        self.ask("Browser.close")
        self._process.wait(timeout=20)
        os.close(self._out)
        os.close(self._in)
