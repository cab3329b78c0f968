"""The check of a file in a process of its own: what hangs can be ended, what prints is not heard, and nothing is written.

`check_file` is the caller's side. The child reads a request as JSON from its standard input and answers as JSON on its standard output,
which the user's code cannot reach.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from charrnn.errors import SettingsError

SECONDS = 30.0
WRITING = {
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "os.link",
    "os.symlink",
    "shutil.rmtree",
    "shutil.move",
    "shutil.copyfile",
}
LEAVING = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "socket.bind"}


class NotCalled(SettingsError):
    """A program that cannot be called as it is; `adapter` is one to fill in."""

    def __init__(self, message: str, adapter: str) -> None:
        super().__init__(message)
        self.adapter = adapter


def split(spec: str) -> tuple[Path, list[str]]:
    """The file and the names of FILE[:NAME[.NAME][+NAME...]]; `SettingsError` for what is none.

    >>> split(__file__ + ":forward+Net.backward")[1]
    ['forward', 'Net.backward']
    """
    path, separator, rest = spec.rpartition(":")
    if not separator or "/" in rest or "\\" in rest or not path:
        path, rest = spec, ""
    wanted = [name for name in rest.split("+") if name]
    if not all(part.isidentifier() for name in wanted for part in name.split(".")) or any(name.count(".") > 1 for name in wanted):
        raise SettingsError(
            f"expected FILE or FILE:NAME, as in my_rnn.py, my_rnn.py:loss_and_gradients, my_rnn.py:Net.method or "
            f"my_rnn.py:forward+backward, got {spec!r}"
        )
    file = Path(path)
    if not file.is_file():
        raise SettingsError(f"{path}: there is no such file")
    if file.suffix == ".ipynb":
        raise SettingsError(f"{path} is a notebook; export it first: jupyter nbconvert --to script {file.name}")
    return file, wanted


def check_file(spec: str, numeric: str | None = None, seconds: float = SECONDS, **sizes: Any) -> dict[str, Any]:
    """The diagnosis of a file: {"json": ..., "text": ..., "page": ..., "passed": ...}.

    sizes: as for `charrnn.check_gradients`. Raises `SettingsError` for what cannot be checked or takes longer than `seconds`, and
    `NotCalled` for what needs an adapter.
    """
    file, wanted = split(spec)
    request: dict[str, Any] = {"file": str(file.resolve()), "shown": str(file), "wanted": wanted, "sizes": sizes}
    if numeric:
        other, names = split(numeric)
        if len(names) != 1:
            raise SettingsError(f"expected FILE:FUNCTION for a numerical gradient, as in my_rnn.py:numerical_gradients, got {numeric!r}")
        request["numeric"] = {"file": str(other.resolve()), "name": names[0]}
    command = [sys.executable, "-c", "from charrnn.lab.worker import child; child()"]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    try:
        done = subprocess.run(command, input=json.dumps(request), capture_output=True, timeout=seconds, env=environment, encoding="utf-8")
    except subprocess.TimeoutExpired as error:
        raise SettingsError(
            f"{file}: the check did not end within {seconds:g} seconds, and was stopped; name what is to be called, FILE:NAME, or leave "
            "out what takes so long"
        ) from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        raise SettingsError(f"{file}: the check could not be made: {last}") from None
    if "error" in answer:
        raise NotCalled(answer["error"], answer["adapter"]) if answer.get("adapter") else SettingsError(answer["error"])
    return answer


def child() -> None:
    """Read a request, check, and answer; then leave at once, whatever the user's code has begun."""
    out = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    request = json.loads(sys.stdin.read())
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    sys.dont_write_bytecode = True
    try:
        answer = answer_to(request)
    except SettingsError as error:
        answer = {"error": str(error), "adapter": getattr(error, "adapter", "")}
    data = json.dumps(answer).encode()
    while data:
        data = data[os.write(out, data) :]
    os._exit(0)


def answer_to(request: dict[str, Any], guarded: bool = True) -> dict[str, Any]:
    """The diagnosis that a request asks for."""
    from charrnn.lab.page import page

    if guarded:
        sys.addaudithook(guard)
    diagnosis = diagnosis_of(Path(request["file"]), request["wanted"], request.get("numeric"), **request["sizes"])
    return {
        "json": diagnosis.to_json(),
        "text": str(diagnosis),
        "page": page(Path(request["shown"]).name, diagnosis.status, diagnosis.verdict(), diagnosis.sections()),
        "passed": diagnosis.passed,
    }


def diagnosis_of(file: Path, wanted: list[str], numeric: dict[str, str] | None = None, **sizes: Any) -> Any:
    """Find, call and check what is in a file, in this process."""
    from charrnn.lab.check import Check, Sizes, subject_of_found
    from charrnn.lab.finding import find_in_file
    from charrnn.lab.skeleton import cannot_be_called, skeleton

    chosen = Sizes.of(**sizes)
    found = find_in_file(file, wanted, chosen.m, chosen.K, chosen.T, chosen.seed)
    if found.way is None:
        raise NotCalled(cannot_be_called(found, file.name), skeleton(found, file.stem))
    subject = subject_of_found(found, file.name)
    function = None
    if numeric:
        function = numeric_function(numeric, file, found.program)
    where = ", ".join(dict.fromkeys(f"{step.routine} (line {step.routine.first})" for step in found.way.steps))
    return Check(subject, chosen).diagnose(function, f"{where} of {file.name}", found.left_out)


def numeric_function(numeric: dict[str, str], file: Path, program: Any) -> Any:
    """The numerical gradient that is named; from the program itself if it is in the same file."""
    from charrnn.arguments import nearest
    from charrnn.lab.loading import load

    path, name = Path(numeric["file"]), numeric["name"]
    scope = program.scope if path == file else load(path, {"m": 5, "K": 7, "T": 6, "B": 3}).scope
    owner, _, method = name.partition(".")
    function = getattr(scope.get(owner), method, None) if method else scope.get(owner)
    if not callable(function):
        own = [key for key, value in scope.items() if callable(value) and getattr(value, "__module__", "") == scope["__name__"]]
        raise SettingsError(f"{path.name} has no function {name!r}{nearest(name, own) if own else ''}")
    return function


def guard(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook that lets nothing be written, and no other program be started."""
    if event == "open":
        mode, flags = arguments[1], arguments[2]
        writes = isinstance(mode, str) and any(letter in mode for letter in "wax+")
        if writes or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)):
            raise PermissionError(f"{arguments[0]!r} is not written while gradients are checked")
    elif event in WRITING or event in LEAVING:
        raise PermissionError(f"{event} is switched off while gradients are checked")
