"""What a training time buys: charrnn's recipes on a text, and PyTorch's modules trained as long as each of them on as many threads.

python benchmarks/leaderboard.py tinyshakespeare.txt --recipes fast good --seeds 0 1 2 --torch lstm gru

The last tenth is held out. "carried" is its mean loss from its beginning, the state carried through; "cold" that of random windows of 256
characters, each from a state of 0, as nanoGPT measures; "dynamic" the first with dynamic evaluation. All in nats per character. "Long" is
processor time on one thread, which other programs on the machine do not lengthen, else the time of the wall clock.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import CharRNN, read_corpus
from charrnn.network.blocks import parameter_count
from charrnn.network.lanes import log_probabilities
from charrnn.text.corpus import Corpus
from charrnn.text.split import held_out

WINDOWS, WINDOW = 12_800, 256
COLUMNS = ("model", "seed", "parameters", "updates", "wall", "processor", "carried", "cold", "dynamic")
SIZE, BATCH, STEPS, RATE = 256, 32, 64, 0.004  # of PyTorch's networks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--recipes", nargs="+", default=["fast", "good"], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--torch", nargs="*", default=[], choices=("rnn", "gru", "lstm"), help="train these as long as the first seed took")
    parser.add_argument("--dropout", type=float, default=0.1, help="of PyTorch's networks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add one object a line")
    options = parser.parse_args()
    training, validation = held_out(read_corpus([options.text]), 0.1)
    print(f"| {' | '.join(COLUMNS)} |\n|---|{'--:|' * (len(COLUMNS) - 1)}")
    for recipe in options.recipes:
        seconds = None
        for seed in options.seeds:
            row = ours(recipe, seed, training, validation, options.threads)
            seconds = seconds or row["processor" if options.threads == 1 else "wall"]
            show(row, options.json)
        for cell in options.torch:
            show(theirs(cell, seconds, options.dropout, training, validation, options.threads), options.json)


def show(row: dict[str, Any], path: Path | None) -> None:
    cells = [f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value for value in row.values()]
    print(f"| {' | '.join(cells)} |", flush=True)
    if path:
        with path.open("a", encoding="utf-8") as file:
            print(json.dumps(row), file=file)


def ours(recipe: str, seed: int, training: Corpus, validation: Corpus, threads: int) -> dict[str, Any]:
    """A row of the table: a recipe's network."""
    model = CharRNN.from_recipe(recipe, seed=seed)
    wall, processor = time.perf_counter(), time.process_time()
    history = model.train(training, validation=validation, sample_every=None, threads=threads, progress=False)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    best = history.best
    return {
        "model": f"charrnn, {recipe}",
        "seed": seed,
        "parameters": parameter_count(best.network.architecture),
        "updates": len(history),
        "wall": wall,
        "processor": processor,
        "carried": best.evaluate(validation).loss,
        "cold": -float(log_probabilities(best.network, windows_of(validation))[0].mean()),
        "dynamic": best.evaluate(validation, dynamic=True).loss,
    }


def windows_of(text: Corpus) -> list[Any]:
    """Random windows, with the character before each."""
    ids = text.read(0, len(text))
    starts = np.random.default_rng(0).integers(0, len(ids) - WINDOW, WINDOWS)
    return [ids[start : start + WINDOW + 1] for start in starts]


def theirs(cell: str, seconds: float, dropout: float, training: Corpus, validation: Corpus, threads: int) -> dict[str, Any]:
    """A row of the table: nn.LSTM (GRU, RNN) with nn.Linear; Adam, the rate falling to 0 as half a cosine, gradient norm at most 1."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    K = len(training.vocabulary)
    rnn, head = getattr(nn, cell.upper())(K, SIZE), nn.Linear(SIZE, K)
    drop, parameters = nn.Dropout(dropout), [*rnn.parameters(), *head.parameters()]
    optimizer, one_hot = torch.optim.Adam(parameters, RATE), torch.eye(K)
    stream = len(training) // BATCH
    ids = torch.from_numpy(training.read(0, stream * BATCH).astype(np.int64)).view(BATCH, stream).T
    state, at, updates = None, 0, 0
    clock = time.process_time if threads == 1 else time.perf_counter
    begun, wall, processor = clock(), time.perf_counter(), time.process_time()
    while (part := (clock() - begun) / seconds) < 1:
        if at + STEPS + 1 > stream:
            state, at = None, 0
        for group in optimizer.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * part))
        x, y = ids[at : at + STEPS], ids[at + 1 : at + STEPS + 1]
        states, state = rnn(one_hot[x], state)
        loss = F.cross_entropy(head(drop(states)).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        state = tuple(each.detach() for each in state) if cell == "lstm" else state.detach()
        at, updates = at + STEPS, updates + 1
    wall, processor = time.perf_counter() - wall, time.process_time() - processor

    def losses(sequences: Any) -> float:
        """The mean over equally long sequences, each from a state of 0."""
        total, state = 0.0, None
        every = torch.from_numpy(np.stack(sequences).astype(np.int64)).T
        with torch.no_grad():
            for i in range(0, len(every) - 1, WINDOW):
                x, y = every[i : i + WINDOW], every[i + 1 : i + WINDOW + 1]
                states, state = rnn(one_hot[x[: len(y)]], state)
                total += F.cross_entropy(head(states).flatten(0, 1), y.flatten(), reduction="sum").item()
        return total / ((len(every) - 1) * every.shape[1])

    windows = windows_of(validation)
    return {
        "model": f"PyTorch {torch.__version__}, nn.{cell.upper()}, {SIZE}, dropout {dropout:g}",
        "seed": 0,
        "parameters": sum(p.numel() for p in parameters),
        "updates": updates,
        "wall": wall,
        "processor": processor,
        "carried": losses([validation.read(0, len(validation))]),
        "cold": float(np.mean([losses(windows[i : i + 400]) for i in range(0, WINDOWS, 400)])),
        "dynamic": "",
    }


if __name__ == "__main__":
    main()
