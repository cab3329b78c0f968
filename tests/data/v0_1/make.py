"""How the files beside this one were made, by charrnn 0.1: every later version has to load, sample and resume them."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from charrnn import CharRNN

HERE = Path(__file__).parent
TEXT = "Der Bär frißt Äpfel — she sells sea shells by the sea shore.\n" * 30


def main() -> None:
    model = CharRNN(hidden_size=12, seed=3, init="scaled")
    model.train(TEXT, updates=300, progress=False)
    model.save(HERE / "text.safetensors")
    raw = CharRNN(hidden_size=7, dtype="float64", seed=1)
    raw.train(TEXT.encode(), updates=100, optimizer="adam", learning_rate=0.01, batch_size=3, progress=False)
    raw.save(HERE / "bytes.safetensors")
    plan = {"updates": 120, "batch_size": 2, "seq_length": 11, "optimizer": "adam", "learning_rate": 0.01, "schedule": "linear"}
    stopped = CharRNN(hidden_size=9, seed=5, init="orthogonal")
    stopped.train(
        TEXT,
        **plan,
        progress=False,
        sample_every=50,
        sample_length=30,
        validation=TEXT[:200],
        validate_every=60,
        checkpoint=HERE / "run",
        checkpoint_every=40,
        keep=1,
        callbacks=[lambda event: event.done >= 70 and event.kind == "progress"],
    )
    with tempfile.TemporaryDirectory() as folder:  # what goes on would replace the checkpoint
        shutil.copytree(HERE / "run", f"{folder}/run")
        whole, history = CharRNN.resume(f"{folder}/run", TEXT, validation=TEXT[:200], progress=False)
    expected = {
        "text": {"loss": model.evaluate(TEXT).loss, "greedy": model.synthesize(60, prime="she", temperature=0)},
        "bytes": {"loss": raw.evaluate(TEXT.encode()).loss, "greedy": raw.synthesize(60, prime=b"she", temperature=0).decode("latin-1")},
        "run": {
            "updates": len(history),
            "loss": whole.evaluate(TEXT).loss,
            "smooth": float(history.smooth_loss[-1]),
            "best_step": history.best_step,
            "samples": [sample.step for sample in history.samples],
        },
    }
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
