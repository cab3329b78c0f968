"""How often a network is lost when it starts from a state of 0 in the middle of a text, with and without --state-reset.

python benchmarks/stuck.py --text tinyshakespeare.txt --json stuck.json --png docs/images/stuck.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import CharRNN, read_corpus
from charrnn.evaluation.surprise import read_through
from charrnn.text.split import held_out

PLACES = 20  # in the text that is held out, from which it is read
DRAWN, SMOOTHED = 4000, 100  # characters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", help="a text file; default the bundled story")
    parser.add_argument("--recipe", default="report-003")
    parser.add_argument("--cell", default="rnn")
    parser.add_argument("--updates", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--resets", type=float, nargs="+", default=[0.0, 0.005, 0.02])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw the first network that is lost")
    options = parser.parse_args()
    training, other = held_out(read_corpus(options.text and [options.text]), 0.1)
    rows: list[dict[str, Any]] = []
    for reset in options.resets:
        for seed in range(options.seeds):
            model = CharRNN.from_recipe(options.recipe, seed=seed, cell=options.cell)
            how: dict[str, Any] = {"sample_every": None, "progress": False, "threads": 1, "state_reset": reset}
            model.train(training, updates=options.updates, **how)
            looks = [model.cold_start(other.part(i * len(other) // PLACES, len(other))) for i in range(PLACES)]
            found = {"reset": reset, "seed": seed, "stuck": sum(look.is_stuck for look in looks)}
            found |= {"carried": float(np.mean([look.carried for look in looks])), "zero": max(look.zero for look in looks)}
            found["cost"] = max((look.zero - look.carried) * look.characters for look in looks if not look.is_stuck)
            rows.append(found)
            print(found, flush=True)
            if options.png and any(look.is_stuck for look in looks):
                place = next(i for i, look in enumerate(looks) if look.is_stuck)
                draw(model, other.part(place * len(other) // PLACES, len(other)), options.png)
                options.png = None
    print("\n| state_reset | networks lost | places of them | worst | nats per character from the carried state |\n|--:|--:|--:|--:|--:|")
    for reset in options.resets:
        of = [row for row in rows if row["reset"] == reset]
        lost, places = sum(row["stuck"] > 0 for row in of), sum(row["stuck"] for row in of)
        worst, mean = max(row["zero"] for row in of), np.mean([row["carried"] for row in of])
        print(f"| {reset:g} | {lost} of {len(of)} | {places} of {PLACES * len(of)} | {worst:.2f} | {mean:.3f} |")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def draw(model: CharRNN, text: Any, path: Path) -> None:
    """The loss along the text, and the hidden units, from both starts."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    look, starts = model.cold_start(text), (("from a state of 0", None), ("from the carried state", model.carried_state))
    figure, axes = plt.subplots(3, 1, figsize=(9, 7), layout="constrained", height_ratios=[3, 2, 2], sharex=True)
    units: Any = None
    for panel, (name, carried) in zip(axes[1:], starts, strict=True):
        blocks = [(b.losses.copy(), b.hidden[0].copy()) for b in read_through(model.network, text, DRAWN + 1, carried)]
        losses, h = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        window = np.convolve(losses, np.full(SMOOTHED, 1 / SMOOTHED), "valid")
        axes[0].plot(np.arange(SMOOTHED, len(losses) + 1), window, label=name, color="#D55E00" if carried is None else "#0072B2")
        if units is None:
            held = sorted((unit for _, unit in look.units), key=lambda unit: h[-1, unit])
            units = held + [u for u in np.argsort(h.std(axis=0)) if u not in held]
        panel.imshow(h[:, units].T, aspect="auto", cmap="PuOr", vmin=-1, vmax=1, interpolation="nearest", extent=(0, len(h), len(units), 0))
        panel.axhline(len(look.units), color="lime", linewidth=2)
        panel.set(ylabel="hidden unit", title=f"h, {name}")
    axes[0].set(ylabel="nats per character", ylim=(0, None), title=f"mean loss of {SMOOTHED} characters")
    axes[0].legend()
    axes[-1].set(xlabel=f"characters read; above the green line: the {len(look.units)} units that are held at opposite sides")
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
