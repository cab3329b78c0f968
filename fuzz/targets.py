"""What is fuzzed: functions of some bytes that end quietly, whatever the bytes are, or raise what a user must never see.

Each checks more than that nothing crashes: what was accepted must survive a round trip, agree with Python's own decoders, or have
written nothing. `fuzz.py` drives them, and the tests run them on every file of corpus/, where also all that was ever found is kept.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import charrnn
from charrnn import arguments, recipes
from charrnn.cli import bench, explain, gradcheck, gradflow, info
from charrnn.cli import main as cli
from charrnn.display import plots
from charrnn.errors import ModelFileError, SettingsError, TextError
from charrnn.files import modelfile, schema
from charrnn.generation import sampling
from charrnn.lab import worker as own
from charrnn.report import page, parts, partschema
from charrnn.runs import recorder
from charrnn.runs.plan import RunPlan
from charrnn.text import corpus, reading, vocabulary
from charrnn.text.split import Parts
from charrnn.training import checkpoint
from charrnn.training.plan import Settings


@contextlib.contextmanager
def instead(place: Any, **values: Any) -> Iterator[None]:
    """These attributes for a while; unittest.mock, which does the same, takes longer than most of what is tried here."""
    kept = {name: getattr(place, name) for name in values}
    for name, value in values.items():
        setattr(place, name, value)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(place, name, value)


# ---- a model file ------------------------------------------------------------------------------------------------------


def model(data: bytes) -> None:
    """A file from a stranger, read as whatever a file can be. Odd first bytes: the rest is a file. Even ones: a header, 0xff, and the
    tensors' bytes; its length and checksum will be right, as those of a stranger who means it would be."""
    if not data:
        return
    content, forged = data[1:], data[0] % 2 == 0
    if forged:
        header, _, tensors = content.partition(b"\xff")
        content = len(header).to_bytes(8, "little") + header + tensors

    def read(name: Any, kind: str | None = None, **how: Any) -> Any:
        return modelfile.from_bytes(content, str(name), kind, **how)

    right = {"_checksum": lambda tensors, strings: strings["checksum"]} if forged else {}
    with instead(modelfile, read=read, **right):
        found = None
        with contextlib.suppress(ModelFileError):
            found = charrnn.CharRNN.load("model.safetensors")
        kept = None
        with contextlib.suppress(ModelFileError):
            kept = checkpoint.load(Path("step-0000000001.safetensors"))
        if kept is not None:
            gone_on(content)
        if found is not None:
            with instead(sys, stdout=io.StringIO()), contextlib.suppress(ModelFileError):
                info.show(info.describe("model.safetensors"))
    if found is not None:
        again = modelfile.from_bytes(modelfile.to_bytes(found.to_tensors(), found.to_metadata()))
        for name, tensor in charrnn.CharRNN.from_tensors(again.tensors, again.metadata).parameters.items():
            assert tensor.tobytes() == found.parameters[name].tobytes(), f"{name} changed on its way through a file"
        if found.hidden_size * len(found.vocabulary) < 10_000:
            assert len(found.synthesize(3, seed=1)) == 3


def gone_on(content: bytes) -> None:
    """A checkpoint that was read is gone on from, for one chunk, if that is quickly done."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "step-0000000001.safetensors")
        path.write_bytes(content)
        found = checkpoint.load(path)
        settings, model = found.run.settings, found.network
        size = settings.seq_length * settings.batch_size * model.architecture.hidden_size * len(model.vocabulary)
        if size > 100_000 or settings.sample_length > 1000:
            return
        text = model.vocabulary.characters * (2 + size // len(model.vocabulary))
        whole: Any = text.encode("latin-1") if model.vocabulary.raw_bytes else text
        how: dict[str, Any] = {"allow_other_text": True, "progress": False, "callbacks": [lambda event: event.kind == "progress"]}
        with contextlib.suppress(charrnn.CharRNNError):
            trained, _ = charrnn.CharRNN.resume(path, whole, **how)
            assert len(trained.synthesize(3, seed=1)) == 3


# ---- recipes and JSON --------------------------------------------------------------------------------------------------


def recipe(data: bytes) -> None:
    """A file that is a recipe is one that its own text makes again, and each of its runs could begin."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mine.toml")
        path.write_bytes(data)
        found = None
        with contextlib.suppress(SettingsError):
            found = recipes.load_recipe(path)
    if found is None:
        return
    assert recipes.from_toml(found.to_toml(), "mine", "mine") == found
    for run in found.runs()[:20]:
        charrnn.CharRNN(**run.model)
        parts.checked_length(run)
    parts.checks(found, 80)


CHECKS = (schema.MODEL, schema.RUN, schema.COURSE, schema.HISTORY)


def values(data: bytes) -> None:
    """JSON of a stranger's: what passes a check passes it again after it was written and read."""
    try:
        checked = CHECKS[data[0] % len(CHECKS)](schema.loads(data[1:]), "it") if data else None
    except schema.Mismatch:
        return
    assert schema.loads(schema.dumps(checked)) == checked


# ---- folders of runs and reports ------------------------------------------------------------------------------------------

TEXT = "she sells sea shells by the sea shore.\n" * 3
RUN = ("run.json", "recipe.toml", "metrics.jsonl", "samples.txt", "model.safetensors", "best.safetensors")


@functools.cache
def small_run() -> dict[str, bytes]:
    """The files of a run of a few updates, by their names."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "text.txt").write_text(TEXT, "utf-8")
        words = ["--hidden-size", "2", "--updates", "4", "--sample-every", "3", "--sample-length", "5", "--quiet"]
        with instead(recorder.Recorder, draw=lambda *_: None):
            assert cli.main(["train", str(Path(folder, "text.txt")), *words, "--out", str(Path(folder, "run"))]) == 0
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def run(data: bytes) -> None:
    """A run's folder of which one file is the data (the first byte says which) is resumed, written from and described, or refused."""
    if not data:
        return
    name, content = RUN[data[0] % len(RUN)], data[1:]
    out, err = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for path, old in small_run().items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(old)
        Path("run", name).write_bytes(content)
        drawing = instead(plots, as_svg=lambda *_: "<svg></svg>")
        with instead(sys, stdout=out, stderr=err), instead(recorder.Recorder, draw=lambda *_: None), drawing:
            resuming = ["train", "--resume", "run", "text.txt", "--allow-other-text", "--quiet", "--updates", "6"]
            for words in (["info", "run"], ["synthesize", "run", "--length", "5"], ["compare", "run"], ["animate", "run"], resuming):
                err.truncate(0), err.seek(0)
                with instead(arguments, available_memory=lambda: 1 << 26):
                    code = cli.main(words)
                assert code in (0, 1, 2), code
                assert code == 0 or len(err.getvalue().splitlines()) == 1, err.getvalue()


PARTS = ("text", "gradients-5", "pytorch", "run-1")


@functools.cache
def small_report() -> dict[str, Any]:
    """What the pages of a report are made of."""
    story = charrnn.Corpus.from_text(TEXT)
    settings = recipes.Recipe("small", model={"hidden_size": 2}, training={"updates": 4, "sample_every": None}, gradcheck={"seq_length": 3})
    planned = RunPlan.of(settings, Settings(**settings.training), Parts(story))
    with tempfile.TemporaryDirectory() as folder:
        trained, _ = parts.Run(planned, "small", Path(folder, "run-1")).train(1, lambda: False)
    checked = parts.gradients(settings, story, 2)
    found = dict(
        zip(PARTS, (parts.text_facts(story), checked, {"installed": False, "wanted": False, "seconds": 0.0}, trained), strict=True)
    )
    return {name: json.loads(schema.dumps(part)) for name, part in found.items()}


def report(data: bytes) -> None:
    """A part of a report that is read is one that pages can be made of. The first byte says which part; the rest changes it."""
    if not data:
        return
    name, found = PARTS[data[0] % len(PARTS)], dict(small_report())
    try:
        change = schema.loads(data[1:])
        found[name] = partschema.checked(name, found[name] | change if isinstance(change, dict) else change)
    except schema.Mismatch:
        return
    recipe = {"name": "small", "description": "", "source": "", "toml": ""}
    made = dict.fromkeys(("charrnn", "level", "python", "numpy", "machine", "cores", "date"), "x")
    view = page.view_of(
        {
            "title": "small",
            "author": None,
            "complete": False,
            "missing": [],
            "command": "c",
            "resume_command": "r",
            "made": made,
            "recipe": recipe,
        }
        | {"text": found["text"], "seconds": 1.0, "timings": [], "gradients": [found["gradients-5"]], "checked_less": None}
        | {"pytorch": found["pytorch"], "runs": [found["run-1"]]}
    )
    names = [name for name, _ in page.figures(view)]
    drawn = {name: {"wide": page.marked("<svg></svg>"), "narrow": page.marked("<svg></svg>")} for name in names}
    for html, template in ((True, "report.html.j2"), (False, "report.md.j2")):
        page.environment(html=html).get_template(template).render(view, figures=drawn)


# ---- vocabulary and texts ----------------------------------------------------------------------------------------------

ENCODINGS = (
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-32-be",
    "utf-7",
    "ascii",
    "latin-1",
    "cp1252",
    "cp037",
    "koi8-r",
    "shift_jis",
    "euc_jp",
    "iso2022_jp",
    "gb18030",
    "hz",
    "big5",
    "euc_kr",
    "cp437",
    "mac_roman",
)
BLOCKS = (1, 2, 3, 4, 7, 16, 64, 1024)


def text(data: bytes) -> None:
    """The first byte says which part is tried, the second where blocks are cut; the rest is the text."""
    if len(data) < 3:
        return
    part, size, content = data[0] % (len(ENCODINGS) + 3), BLOCKS[data[1] % len(BLOCKS)], data[2:]
    with instead(corpus, BLOCK=size), instead(reading, BLOCK=size), instead(vocabulary, BLOCK=size):
        if part < len(ENCODINGS):
            decoded_text(content, ENCODINGS[part])
        elif part == len(ENCODINGS):
            raw_text(content)
        elif part == len(ENCODINGS) + 1:
            stored_vocabulary(content)
        else:
            strangers(content)


def from_stdin(content: bytes, **how: Any) -> charrnn.Corpus | None:
    with instead(sys, stdin=io.TextIOWrapper(io.BytesIO(content))), contextlib.suppress(TextError):
        return charrnn.read_corpus("-", **how)
    return None


def decoded_text(content: bytes, encoding: str) -> None:
    """The characters are those of Python's own decoder, with line ends made LF and the byte-order mark dropped."""
    found = from_stdin(content, encoding=encoding)
    if content.startswith((*reading.SIGNATURES, *reading.PACKED)) or content[8:10] == b'{"':
        return  # no text, or one that has to be decompressed
    try:
        expected = io.TextIOWrapper(io.BytesIO(content), encoding).read().removeprefix("\ufeff")
        expected.encode("utf-32")  # not with lone surrogates
    except UnicodeError:
        assert found is None, f"{encoding} accepted what it cannot decode"
        return
    if len(set(expected)) < 2:
        assert found is None
        return
    assert found is not None, f"{encoding} was refused"
    assert found.text(0, len(found)) == expected
    assert found.vocabulary == charrnn.Vocabulary.from_text(expected)


def raw_text(content: bytes) -> None:
    found = from_stdin(content, raw_bytes=True)
    assert (found is None) == (len(set(content)) < 2)
    if found is not None:
        assert found.text(0, len(found)) == content
        assert found.ids.max() == len(set(content)) - 1


def stored_vocabulary(content: bytes) -> None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return
    with contextlib.suppress(TextError):
        found = charrnn.Vocabulary.from_json(value)
        assert charrnn.Vocabulary.from_json(json.loads(json.dumps(found.to_json()))) == found
        assert (found.encode(found.decode(np.arange(len(found)))) == np.arange(len(found))).all()


def strangers(content: bytes) -> None:
    """Half of the text in the vocabulary of the other half: every character that it lacks is counted."""
    try:
        whole: Any = content[1:] if content[0] % 2 else content[1:].decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return
    middle = len(whole) // 2
    known, refused, ids = None, "", None
    try:
        known = charrnn.Vocabulary.from_text(whole[:middle])
        ids = known.encode(whole[middle:])
    except TextError as error:
        refused = str(error)
    if known is None or ids is None:
        missing = len(set(whole[middle:]) - set(whole[:middle]))
        assert "not in the vocabulary" not in refused or refused.startswith(f"{missing:,} "), (missing, refused)
        return
    assert known.decode(ids) == whole[middle:]


# ---- the command line --------------------------------------------------------------------------------------------------


class Begun(BaseException):
    """The arguments were accepted: the next thing would be to work or to write."""


WRITES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "shutil.rmtree")
STARTS = ("subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn", "os.system", "socket.connect", "signal.pthread_kill")
_watching = False


def _watch(event: str, details: tuple[Any, ...]) -> None:
    """An audit hook: nothing is written and no process is started while arguments are being read."""
    if _watching and (event in WRITES or event in STARTS or (event == "open" and writes(*details))):
        raise Begun(event)


def writes(path: Any, mode: Any, flags: int) -> bool:
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)) and path != os.devnull and not isinstance(path, int)


def begin(*_: Any, **__: Any) -> Any:
    raise Begun


@contextlib.contextmanager
def desk() -> Iterator[None]:
    """A folder with a text, a model, a recipe and some Python to name in arguments; a small machine; parsers made once.

    Making a parser takes a hundred times as long as using it, and does not depend on the arguments.
    """
    sys.addaudithook(_watch)
    modules = {f"charrnn {name}": importlib.import_module(module) for name, (module, _) in cli.COMMANDS.items()}
    parsers, real = {prog: cli.Parser(prog=prog) for prog in modules}, cli.Parser
    for prog, parser in parsers.items():
        modules[prog].add_arguments(parser)

    def parser_of(prog: str, **options: Any) -> Any:
        return parsers.get(prog) or real(prog=prog, **options)

    text = "she sells sea shells by the sea shore.\n" * 8
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("a.txt").write_text(text, "utf-8")
        Path("b.txt").write_bytes(b"\xff\xfe\x00")
        Path("r.toml").write_text("[model]\nhidden_size = 3\n[training]\nlearning_rate = 0.5\nepochs = 2\n", "utf-8")
        Path("g.py").write_text("def f(parameters, inputs, targets, state):\n    return 0.0, parameters\n", "utf-8")
        Path("run").mkdir()
        charrnn.CharRNN(3, vocabulary=text).save("m.safetensors")
        charrnn.CharRNN(3, vocabulary=text).save("run/best.safetensors")
        with contextlib.ExitStack() as stack:
            for place, values in (
                *((module, {"add_arguments": lambda parser: None}) for module in modules.values()),
                (cli, {"Parser": parser_of}),
                (arguments, {"available_memory": lambda: 1 << 22}),
                (corpus, {"bundled_story": lambda: Path("a.txt")}),
                (bench, {"BLAS": ("NEVER_SET",)}),  # so that it starts a process of its own, which is where it begins
                (sampling.Sampler, {"draw": begin}),
                (gradcheck, {"gradcheck": begin}),
                (explain, {"look": begin}),
                (gradflow, {"gradient_flow": begin}),
                (own, {"check_file": begin}),
            ):
                stack.enter_context(instead(place, **values))
            yield


def commandline(data: bytes) -> None:
    """Words separated by NUL, which no argument can hold: they are accepted, or refused in one line."""
    global _watching
    words = [word.decode("utf-8", "surrogateescape") for word in data.split(b"\0")]
    if any("/" in word or ".." in word for word in words):
        return  # stay in this folder
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", newline=""), io.StringIO()
    with instead(sys, stdin=io.TextIOWrapper(io.BytesIO(b"text of standard input")), stdout=out, stderr=err):
        _watching = True
        try:
            code: Any = cli.main(words)
        except Begun:
            return
        except SystemExit as end:
            code = end.code
        finally:
            _watching = False
    lines = err.getvalue().splitlines()
    assert code in (0, 1, 2), code
    if code == 2:
        assert len(lines) == 1, lines
        assert lines[0].startswith("charrnn"), lines


TARGETS: dict[str, Callable[[bytes], None]] = {
    "model": model,
    "text": text,
    "commandline": commandline,
    "recipe": recipe,
    "values": values,
    "run": run,
    "report": report,
}
