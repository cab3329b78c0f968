"""What the parts of a report must hold for its pages to be made of them: they may be damaged, or come from a stranger."""

from __future__ import annotations

from typing import Any

from charrnn.files.schema import Check, Mismatch, anything, either, list_of, maybe, number, row_of, table, text, whole, yes_or_no

SETTINGS = table({}, others=either(maybe(yes_or_no()), whole(-(1 << 128), 1 << 128), number(), text(1000)))
SHARE, SECONDS, LOSS = maybe(number(0, 1)), number(0, 1e12), number(-1e100, 1e100)

PLAN = table(
    {
        "charrnn": text(100),
        "recipe": text(1 << 20),
        "name": text(10_000),
        "text": table({"text": list_of(text(1 << 16)), "encoding": text(100), "raw_bytes": yes_or_no()}, {"min_count": whole(1)}),
        "command": text(),
        "seconds": SECONDS,
        "fingerprint": text(100),
        "described": text(),
    },
    {"title": maybe(text(10_000)), "author": maybe(text(10_000)), "validation": maybe(text(1 << 16))},
    others=anything,
)
TEXT = table(
    {
        "name": text(),
        "description": text(),
        "characters": whole(1),
        "distinct": whole(1),
        "raw_bytes": yes_or_no(),
        "fingerprint": text(100),
        "histogram": list_of(row_of(text(1), whole(1)), shortest=1),
    },
    others=anything,
)
ERROR = maybe(number(0))
GRADIENTS = table(
    {
        "hidden_size": whole(1),
        "symbols": whole(1),
        "seq_length": whole(1),
        "level": text(100),
        "points": whole(1),
        "step": number(0),
        "eps": number(0),
        "threshold": number(0),
        "seed": whole(0, 1 << 128),
        "passed": yes_or_no(),
        "notes": list_of(text()),
        "seconds": SECONDS,
        "rows": list_of(
            table(
                {
                    "state": text(100),
                    "name": text(100),
                    "entries": whole(),
                    "max_relative": ERROR,
                    "mean_relative": ERROR,
                    "max_absolute": ERROR,
                    "mean_absolute": ERROR,
                    "worst": list_of(whole(), longest=8),
                    "passed": yes_or_no(),
                },
                others=anything,
            ),
            longest=10_000,
        ),
    },
    others=anything,
)


def _absent(value: Any, where: str) -> bool:
    if value is not False:
        raise Mismatch(f"{where} must be false")
    return False


DIFFERENCES = table({}, others=number(0))
PYTORCH = either(
    table({"installed": _absent, "wanted": yes_or_no(), "seconds": SECONDS}, others=anything),
    table(
        {
            "installed": yes_or_no(),
            "version": text(100),
            "hidden_size": whole(1),
            "seq_length": whole(1),
            "differences": table({"zero": DIFFERENCES}, others=DIFFERENCES),
            "seconds": SECONDS,
        },
        others=anything,
    ),
)
INTERVAL = maybe(row_of(number(0, 1), number(0, 1)))
SAMPLE = table(
    {"step": whole(), "smooth_loss_per_char": maybe(LOSS), "text": text(), "known_words": SHARE, "known_interval": INTERVAL},
    others=anything,
)
BEST = table(
    {
        "step": whole(),
        "loss_per_char": number(0, 700),  # of which perplexity is the exponential
        "text": text(),
        "words": whole(),
        "known_words": SHARE,
        "known_interval": INTERVAL,
        "ngram_overlap": list_of(SHARE, longest=100),
        "distinct": list_of(SHARE, longest=100),
        "copied": text(),
        "copied_from": maybe(whole()),
    },
    others=anything,
)
CURVE = table({"steps": list_of(whole()), "smooth_loss_per_char": list_of(LOSS), "mean_loss_per_char": list_of(LOSS)}, others=anything)
RUN = table(
    {
        "label": text(10_000),
        "total": whole(1),
        "done": whole(),
        "seed": whole(0, 1 << 128),
        "model": SETTINGS,
        "training": SETTINGS,
        "epochs": maybe(number(0)),
        "error": maybe(text()),
        "samples": list_of(SAMPLE),
        "best": maybe(BEST),
        "curve": CURVE,
    },
    others=anything,
)
LEARNED = table(  # what a run has besides, once it has made an update
    {
        "best": BEST,
        "seconds": SECONDS,
        "characters_per_window": whole(1),
        "expected_first_loss_per_char": LOSS,
        "first_loss_per_char": LOSS,
        "final_loss_per_char": LOSS,
        "recent_updates": whole(1),
        "recent_loss_per_char": LOSS,
        "epoch_steps": list_of(whole()),
        "characters": whole(1),
        "validation": list_of(row_of(whole(), LOSS)),
        "validated_on": maybe(text()),
        "best_by": text(100),
        "notes": list_of(text()),
    },
    others=anything,
)
PARTS: dict[str, Check] = {"text": TEXT, "gradients": GRADIENTS, "pytorch": PYTORCH, "run": RUN}


def checked(name: str, part: Any) -> dict[str, Any]:
    """The part of that name ("text", "gradients-5", "run-1", "plan"), or `Mismatch`, which is a ValueError.

    >>> checked("pytorch", {"installed": False, "wanted": False, "seconds": 0.0})["installed"]
    False
    >>> checked("pytorch", {"installed": False})
    Traceback (most recent call last):
    charrnn.files.schema.Mismatch: the part pytorch lacks version, hidden_size, seq_length, differences, seconds
    """
    kind, where = name.split("-")[0], f"the part {name}"
    found: dict[str, Any] = (PLAN if kind == "plan" else PARTS[kind])(part, where)
    if kind != "run":
        return found
    if found["done"] > found["total"] or len({len(column) for column in found["curve"].values() if isinstance(column, list)}) != 1:
        raise Mismatch(f"{where} does not agree with itself")
    if found["error"] is None and (found["done"] or found["best"] or found["curve"]["steps"]):
        found = LEARNED(found, where)
        if not found["done"]:
            raise Mismatch(f"{where} has learned in no update")
    return found
