"""The samples of a run on their loss curve, to be moved through with a slider: one page, with a small script and no request to anywhere."""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from typing import Any

import numpy as np

from charrnn.display import curves, plots
from charrnn.errors import SettingsError
from charrnn.report.page import TEMPLATES, environment, marked, style
from charrnn.runs.record import Record, Sample

MOST = 400  # samples on a page


def to_html(run: Record) -> str:
    """The page. Raises `SettingsError` for a run without samples."""
    if not run.samples:
        raise SettingsError(
            f"the run in {run.path} has drawn no samples yet: train with --sample-every N, smaller than the number of updates"
        )
    chosen = np.unique(np.linspace(0, len(run.samples) - 1, min(MOST, len(run.samples))).astype(int))
    samples = [run.samples[i] for i in chosen]
    before = [loss_before(run, sample) for sample in samples]
    curve = curves.RunCurve(run.steps, run.mean_losses, [(v.step, v.loss) for v in run.validation])
    points = [(s.step, run.mean_losses[0] if loss is None else loss) for s, loss in zip(samples, before, strict=True)]
    draw = partial(curves.draw_samples, curve=curve, points=points)
    sizes = {"wide": False, "narrow": True}
    figure = {size: plots.as_svg(draw, (0.38, 0.72), "Loss over the updates", size, narrow) for size, narrow in sizes.items()}
    script = (TEMPLATES / "animate.js").read_text("utf-8")
    content: dict[str, Any] = {
        "run": run,
        "about": about(run),
        "figure": marked(figure),
        "samples": [{"step": s.step, "loss": loss, "text": s.text} for s, loss in zip(samples, before, strict=True)],
        "script": marked(script),
        "script_hash": marked(base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()),
        "css": style(),
    }
    return environment(html=True).get_template("animate.html.j2").render(content)


def loss_before(run: Record, sample: Sample) -> float | None:
    """The mean loss (nats per character) before the update of a sample; None before the first."""
    done = int(np.searchsorted(run.steps, sample.step)) - 1
    return float(run.mean_losses[done]) if done >= 0 else None


def about(run: Record) -> str:
    """The run in a line."""
    s = run.settings
    network = f"{s['hidden_size']} {'hidden' if s['cell'] == 'rnn' else s['cell'].upper()} units"
    layers = f"{s['layers']} layers of " if s["layers"] > 1 else ""
    text = f"; {s['text']}" if s.get("text") else ""
    how = f"{s['optimizer']}, learning rate {s['learning_rate']:g}"
    return f"{layers}{network}, {how}; {run.done:,} updates of {run.window:,} characters{text}"
