"""The parts of a report that was broken off: sound ones pass, and what passes can be made into pages, whatever it is."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.cli.main import main
from charrnn.files.schema import Mismatch
from charrnn.report import page
from charrnn.report.partschema import checked


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report's parts, its numbers, and the templates."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "text.txt").write_text("The quick brown fox jumps over the lazy dog.\n" * 20, "utf-8")
    words = ["--quiet", "--hidden-size", "3", "--seq-length", "5", "--updates", "20", "--sample-every", "10"]
    assert main(["report", str(folder / "text.txt"), "--out", str(folder / "report"), *words]) == 0
    parts = {file.stem: json.loads(file.read_text("utf-8")) for file in (folder / "report" / "parts").glob("*.json")}
    report = json.loads((folder / "report" / "report.json").read_text("utf-8"))
    return parts, report, [page.environment(html).get_template(f"report.{'html' if html else 'md'}.j2") for html in (True, False)]


def places(value, path=()):
    """Where there is something in a part."""
    yield path
    if isinstance(value, (dict, list)):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value[:3]):
            yield from places(each, (*path, key))


def replaced(part, path, new):
    part = copy.deepcopy(part)
    place = part
    for key in path[:-1]:
        place = place[key]
    if path:
        place[path[-1]] = new
    return part if path else new


JUNK = [
    None,
    True,
    False,
    0,
    -1,
    3,
    10**30,
    10**400,
    1e300,
    -0.5,
    float("nan"),
    float("inf"),
    "",
    "\x1b<b>|`",
    "x" * 2000,
    [],
    [1],
    {},
    {"a": []},
]


def rendered(report, part, name, templates):
    report = copy.copy(report)
    if name == "text":
        report["text"] = part
    elif name.startswith("gradients"):
        report["gradients"] = [part]
    elif name == "pytorch":
        report["pytorch"] = part
    else:
        report["runs"] = [part, part]
    view = page.view_of(report)
    pictures = {key: {"wide": "", "narrow": ""} for key in ("comparison", "loss-1", "loss-2", "words-1", "words-2")}
    for number, run in enumerate(view["runs"], 1):
        if run["curve"]["steps"]:
            page.curve_of(run)
            page.passes_and_losses(run)
            assert f"loss-{number}" in pictures
    for template in templates:
        assert template.render(view, figures=pictures)


def test_sound_parts_pass_as_they_are(made):
    parts, report, templates = made
    assert {name.split("-")[0] for name in parts} == {"plan", "text", "gradients", "pytorch", "run"}
    for name, part in parts.items():
        assert checked(name, part) == part
        if name != "plan":
            rendered(report, part, name, templates)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(data=st.data())
def test_what_passes_can_be_shown(made, data):
    parts, report, templates = made
    name = data.draw(st.sampled_from(sorted(set(parts) - {"plan"})))
    part = replaced(parts[name], data.draw(st.sampled_from(list(places(parts[name])))), data.draw(st.sampled_from(JUNK)))
    try:
        part = checked(name, part)
    except Mismatch as problem:
        message = str(problem)
    else:
        rendered(report, part, name, templates)
        return
    assert message.startswith(f"the part {name}")
    assert message.isprintable()


@pytest.mark.parametrize(
    "new", [{"done": 3, "best": None}, {"done": 99}, {"curve": {"steps": [1], "smooth_loss_per_char": [], "mean_loss_per_char": []}}]
)
def test_a_run_that_does_not_agree_with_itself(made, new):
    with pytest.raises(Mismatch, match="the part run-1"):
        checked("run-1", made[0]["run-1"] | new)


def test_anything_may_be_missing(made):
    for name, part in made[0].items():
        for key in part:
            with_less = {other: value for other, value in part.items() if other != key}
            try:
                checked(name, with_less)
            except Mismatch:
                continue
            if name != "plan":
                rendered(made[1], with_less, name, made[2])
