"""Optuna chooses the settings; a callback of charrnn reports each validation loss and ends runs that will not be the best.

pip install optuna
python optuna_pruning.py book.txt
"""

import sys
from pathlib import Path

import optuna

from charrnn import CharRNN, read_corpus

PLAN = {"updates": 2000, "seq_length": 25, "batch_size": 8, "loss_reduction": "mean", "optimizer": "adam", "schedule": "linear"}


def objective(trial, corpus, plan):
    """The lowest validation loss, nats per character, of one trial."""
    model = CharRNN(
        hidden_size=trial.suggest_int("hidden_size", 16, 128, log=True), cell=trial.suggest_categorical("cell", ["rnn", "gru", "lstm"])
    )
    rate = trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True)

    def prune(event):
        """A true answer stops the run, cleanly."""
        if event.kind != "validation":
            return False
        trial.report(event.validation.loss, event.done)
        return trial.should_prune()

    history = model.train(corpus, learning_rate=rate, validation=0.1, sample_every=None, callbacks=[prune], progress=False, **plan)
    if len(history) < history.planned:
        raise optuna.TrialPruned
    return history.best_loss_per_char


def search(corpus, trials, plan=PLAN, seed=0):
    """The finished study."""
    pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=plan["updates"] // 4)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner)
    study.optimize(lambda trial: objective(trial, corpus, plan), n_trials=trials)
    return study


if __name__ == "__main__":
    study = search(read_corpus(Path(sys.argv[1]) if sys.argv[1:] else None), trials=30)
    print(f"{study.best_value:.4f} nats per character: {study.best_params}")
