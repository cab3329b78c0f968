"""The example of docs/examples: Optuna prunes through a callback."""

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[1] / "docs/examples/optuna_pruning.py"


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are part of a checkout and of the source distribution only")
@pytest.mark.filterwarnings("default")  # of a library that this project does not choose
def test_optuna_prunes_through_a_callback():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    from charrnn import Corpus

    names = runpy.run_path(str(EXAMPLE))
    corpus = Corpus.from_text("the tide comes in, the tide goes out; nobody asked the tide. " * 40)
    plan = names["PLAN"] | {"updates": 80, "batch_size": 2}
    studies = [names["search"](corpus, 12, plan) for _ in range(2)]
    states = [[trial.state for trial in study.trials] for study in studies]
    assert states[0].count(optuna.trial.TrialState.PRUNED) > 1
    assert states[0].count(optuna.trial.TrialState.COMPLETE) > 3
    assert states[0] == states[1]
    assert studies[0].best_value == studies[1].best_value < 2.0
    pruned = [trial for trial in studies[0].trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert all(20 <= trial.last_step < 80 for trial in pruned)
