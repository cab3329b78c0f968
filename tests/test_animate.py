"""charrnn animate: the samples of a run on its loss curve, in a page that runs its own script and no other."""

import base64
import hashlib
import re
import shutil
import subprocess

import numpy as np
import pytest
from commands import run

from charrnn.cli.main import main
from charrnn.display import plots
from charrnn.report import animate
from charrnn.runs.record import Record, Sample, samples_in

TEXT = "<b>& the quick</script> brown fox</b>\n\n--- before me, {{ 7 * 7 }} ---\n" * 30
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of a nasty text, and its page."""
    place = tmp_path_factory.mktemp("animate")
    (place / "text.txt").write_text(TEXT, "utf-8")
    how = ["--hidden-size", "8", "--updates", "90", "--sample-every", "20", "--sample-length", "70", "--validation", "0.2", "--quiet"]
    run("train", "text.txt", "--out", "run", *how, cwd=place)
    out, _ = run("animate", "run", cwd=place)
    assert out == "5 samples from 90 updates\nwrote animation.html\n"
    return place


def test_the_page_has_every_sample_and_its_loss(folder):
    page, record = (folder / "animation.html").read_text("utf-8"), Record.load(folder / "run")
    assert [sample.step for sample in record.samples] == [1, 20, 40, 60, 80]
    assert page.count('<section class="sample">') == 5
    heads = re.findall(r"<h2>Before update (\d+)(?:: loss ([\d.]+) nats per character)?</h2>", page)
    assert heads == [("1", ""), *((str(step), f"{record.mean_losses[step - 2]:.3f}") for step in (20, 40, 60, 80))]
    assert 'max="4"' in page
    for size in ("wide", "narrow"):  # a point of the picture for each
        assert re.search(rf'<g id="{size}-samples">(.*?)</g>', page, re.DOTALL)[1].count("<use ") == 5


def test_the_page_runs_its_own_script_alone(folder):
    page = (folder / "animation.html").read_text("utf-8")
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert page.index("Content-Security-Policy") < page.index("<title")
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert not re.search(r"<[^>]*\son\w+=", page)


@pytest.mark.skipif(BROWSER is None, reason="no browser is installed")
def test_a_browser_shows_the_first_sample_and_keys_move(folder, tmp_path):
    page = (folder / "animation.html").read_text("utf-8")
    press = 'document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}))'
    keys = f'for (const key of ["End", "ArrowLeft", "ArrowLeft"]) {press};'
    shown = []
    for name, script in ("as-is", ""), ("moved", keys):
        own = re.sub(r"<meta http-equiv[^>]*>", "", page) if script else page  # the page's policy lets no other script in
        (tmp_path / f"{name}.html").write_text(own.replace("</body>", f"<script>{script}</script></body>") if script else own, "utf-8")
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
        dom = subprocess.run([*command, (tmp_path / f"{name}.html").as_uri()], capture_output=True, text=True, timeout=60).stdout
        shown.append(re.search(r"<output>(.*?)</output>", dom)[1])
        assert 'class="js"' in dom
        assert dom.count('class="sample now"') == 1
    assert shown[0] == "Before update 1"
    assert shown[1].startswith("Before update 40: loss")


def test_samples_that_look_like_heads(tmp_path):
    (tmp_path / "samples.txt").write_text(
        "--- before update 1, epoch 1: nothing learned yet ---\nab\n--- before update 1, epoch 1: x ---\ncd\n\n"
        "--- before update 1,000, epoch 2: smooth loss 2.0 per character ---\n\n\n=== best model ===\n\n\n"
        "=== best model, after update 1,500: smooth loss 2 ===\nend\n\n",
        "utf-8",
    )
    first, second = samples_in(tmp_path)
    assert first == Sample(1, "ab\n--- before update 1, epoch 1: x ---\ncd")
    assert second == Sample(1000, "\n\n=== best model ===\n")
    assert samples_in(tmp_path / "none") == []


def test_many_samples_are_thinned(folder, monkeypatch):
    monkeypatch.setattr(plots, "as_svg", lambda *_: "<svg></svg>")
    monkeypatch.setattr(animate, "MOST", 3)
    page = animate.to_html(Record.load(folder / "run"))
    assert re.findall(r"<h2>Before update (\d+)", page) == ["1", "40", "80"]
    assert "3 of 5 samples are shown" in page


def test_a_run_without_samples_is_refused(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    (tmp_path / "run" / "samples.txt").unlink()
    _, errors = run("animate", "run", cwd=tmp_path, code=2)
    assert "--sample-every" in errors
    assert not (tmp_path / "animation.html").exists()


def test_the_loss_before_a_sample(folder):
    record = Record.load(folder / "run")
    assert animate.loss_before(record, Sample(1, "")) is None
    assert animate.loss_before(record, Sample(31, "")) == np.mean(record.losses[10:30])


def test_a_run_without_samples(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    how = ["--hidden-size", "4", "--updates", "20", "--sample-every", "none", "--out", "run", "--quiet"]
    assert main(["train", *how]) == 0
    assert samples_in(tmp_path / "run") == []
    assert main(["compare", "run"]) == 0
    assert main(["animate", "run"]) == 2
    assert "has drawn no samples yet" in capsys.readouterr().err
