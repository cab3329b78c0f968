"""CharRNN as an estimator of scikit-learn."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from charrnn import CharRNN, CharRNNError, SettingsError, TextError
from charrnn.network.settings import MODEL
from charrnn.sklearn import OWN, WITHOUT, CharRNNEstimator
from charrnn.training.plan import TRAINING

NAMES = ["ada", "bob", "eve", "zoe", "dan", "una"] * 10
SMALL = {"hidden_size": 8, "updates": 30, "seq_length": 10}


@pytest.fixture(scope="module")
def fitted():
    return CharRNNEstimator(**SMALL, random_state=3).fit(NAMES)


# ---- scikit-learn's own checks --------------------------------------------------------------------------------------


class OnNumbers(CharRNNEstimator):
    """The estimator itself, given all checks, of which most come with matrices of numbers."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


class OnRows(CharRNNEstimator):
    """Takes the rows of these matrices for texts, so that the checks check what they are meant for."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = True, False, False
        return tags

    def texts(self, X, reset):
        return [" ".join(f"{x:.1f}" for x in row) for row in validate_data(self, X, reset=reset)]

    def fit(self, X, y=None):
        return super().fit(self.texts(X, True))

    def partial_fit(self, X, y=None):
        return super().partial_fit(self.texts(X, False)) if hasattr(self, "model_") else self.fit(X)

    def _logs(self, X):
        return super()._logs(self.texts(X, False) if hasattr(self, "model_") else X)


NUMBERS = "gives X as numbers, where texts are expected; passes for OnRows"
EXPECTED = dict.fromkeys(
    (
        *("check_fit_score_takes_y", "check_estimators_overwrite_params", "check_dont_overwrite_parameters", "check_readonly_memmap_input"),
        *("check_estimators_fit_returns_self", "check_n_features_in_after_fitting", "check_positive_only_tag_during_fit"),
        *("check_estimators_dtypes", "check_dtype_object", "check_pipeline_consistency", "check_estimators_pickle", "check_fit_idempotent"),
        *("check_f_contiguous_array_estimator", "check_methods_sample_order_invariance", "check_methods_subset_invariance"),
        *("check_fit2d_1sample", "check_fit2d_1feature", "check_dict_unchanged", "check_fit_check_is_fitted", "check_fit2d_predict1d"),
        *("check_n_features_in", "check_complex_data", "check_estimators_nan_inf", "check_estimators_empty_data_messages"),
        *("check_estimator_sparse_tag", "check_estimator_sparse_array", "check_estimator_sparse_matrix"),
    ),
    NUMBERS,
)


@pytest.mark.parametrize(("kind", "expected"), [(OnNumbers, EXPECTED), (OnRows, {})])
def test_what_scikit_learn_expects_of_an_estimator(kind, expected):
    estimator = kind(hidden_size=4, updates=5, seq_length=5)
    results = check_estimator(estimator, expected_failed_checks=expected, on_skip=None)  # which raises for a check that fails
    passed = {result["check_name"] for result in results if result["status"] == "passed"}
    assert len(passed) >= (10 if expected else 35)


def test_every_setting_is_a_parameter():
    parameters = CharRNNEstimator().get_params()
    assert set(parameters) == {*MODEL, *TRAINING, *OWN} - {*WITHOUT}
    assert clone(CharRNNEstimator(layers=2, dropout=0.5)).get_params() == parameters | {"layers": 2, "dropout": 0.5}
    assert repr(CharRNNEstimator(layers=2)) == "CharRNNEstimator(layers=2)"
    with pytest.raises(SettingsError, match="did you mean 'hidden_size'"):
        CharRNNEstimator(hidden_units=3)


# ---- what it does ---------------------------------------------------------------------------------------------------


def test_it_is_the_model_that_charrnn_trains(fitted):
    model = CharRNN(hidden_size=8, seed=3)
    best = model.train("".join(name + "\n" for name in NAMES), updates=30, seq_length=10, sample_every=None, progress=False).best
    assert (fitted.model_.theta == best.theta).all()
    logs = best.score([name + "\n" for name in NAMES], "\n", reduction="none")
    assert fitted.score(NAMES) == pytest.approx(np.concatenate(logs).mean())
    assert fitted.score_samples(["ada", "zzz"]) == pytest.approx(best.score(["ada\n", "zzz\n"], "\n", unknown="uniform"))
    assert fitted.score(np.array(NAMES)) == fitted.score(tuple(NAMES)) == fitted.score(NAMES, y=[1] * len(NAMES))


def test_samples_end_at_the_separator(fitted):
    samples = fitted.sample(20, random_state=1)
    assert samples == fitted.sample(20, random_state=1) != fitted.sample(20, random_state=2)
    assert not any("\n" in sample for sample in samples)
    assert fitted.sample(2) == fitted.sample(2, random_state=3)
    assert max(map(len, fitted.sample(9, max_new=4))) <= 4
    free = CharRNNEstimator(**SMALL, separator="").fit(NAMES)
    assert "\n" not in free.model_.vocabulary
    assert [len(sample) for sample in free.sample(2, max_new=7)] == [7, 7]
    assert isinstance(free.score(["bob"]), float)


def test_partial_fit_goes_on(fitted):
    more = clone(fitted).partial_fit(NAMES)
    assert (more.model_.theta == fitted.model_.theta).all()
    before = more.score(["ivy"])
    more.partial_fit(["ivy"] * 30)
    assert more.history_.first_step == 31
    assert {*"ivy"} <= {*more.model_.vocabulary.characters}
    assert more.score(["ivy"]) > before


def test_unknown_characters_are_scored_as_asked(fitted):
    with pytest.raises(TextError, match="not in the vocabulary"):
        clone(fitted).set_params(unknown="error").fit(NAMES).score(["☃"])
    assert np.isfinite(fitted.score(["☃"]))
    assert CharRNNEstimator(**SMALL, min_count=5).fit([*NAMES, "q"]).model_.vocabulary.unknown == "\ufffd"


def test_a_pickle_goes_on(fitted):
    again = pickle.load(io.BytesIO(pickle.dumps(fitted)))
    assert again.score(NAMES) == fitted.score(NAMES)
    assert (again.partial_fit(NAMES).model_.theta == pickle.loads(pickle.dumps(fitted)).partial_fit(NAMES).model_.theta).all()


def test_a_recipe_is_a_start():
    estimator = CharRNNEstimator.from_recipe("dd2424-2025", updates=5, hidden_size=4)
    assert (estimator.optimizer, estimator.updates, estimator.epochs) == ("adam", 5, None)


# ---- searches -------------------------------------------------------------------------------------------------------


def test_grid_search():
    search = GridSearchCV(CharRNNEstimator(**SMALL), {"learning_rate": [1e-9, 0.1]}, cv=KFold(2)).fit(NAMES)
    assert search.best_params_ == {"learning_rate": 0.1}
    assert search.best_score_ == pytest.approx(search.cv_results_["mean_test_score"].max())
    assert len(search.best_estimator_.sample(2)) == 2
    again = cross_val_score(CharRNNEstimator(**SMALL, learning_rate=0.1), NAMES, cv=KFold(2))
    assert again.mean() == search.best_score_


def test_successive_halving_over_updates():
    grid = {"learning_rate": [1e-9, 1e-6, 0.05, 0.1]}
    search = HalvingGridSearchCV(
        CharRNNEstimator(**SMALL), grid, resource="updates", min_resources=10, max_resources=40, factor=2, cv=KFold(2), random_state=0
    ).fit(NAMES)
    assert search.n_resources_ == [10, 20, 40]
    assert search.best_params_["learning_rate"] >= 0.05
    assert search.best_params_["updates"] == 40


def test_pipeline():
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [text.upper() for text in texts]), CharRNNEstimator(**SMALL))
    assert pipeline.fit(NAMES).score(["ada"]) == pipeline[-1].score(["ADA"])


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("X", ["one text", b"bytes", [], [1, 2], ["a", None], np.zeros((3, 2)), np.array([["a"]]), 5])
def test_what_is_no_list_of_texts_is_refused(X, fitted):
    for call in (CharRNNEstimator().fit, fitted.score, fitted.score_samples):
        with pytest.raises(CharRNNError, match="X must be"):
            call(X)


def test_settings_are_refused_when_it_is_fitted():
    with pytest.raises(SettingsError, match="dropout must be below 1"):
        CharRNNEstimator(dropout=1.5).fit(NAMES)
    with pytest.raises(SettingsError, match="separator"):
        CharRNNEstimator(separator=0).fit(NAMES)
    with pytest.raises(TextError, match="too short"):
        CharRNNEstimator().fit(["ab"])
    with pytest.raises(NotFittedError):
        CharRNNEstimator().sample()


def test_without_scikit_learn_the_extra_is_named():
    code = "import sys; sys.modules['sklearn'] = None\ntry: import charrnn.sklearn\nexcept ImportError as error: print(error)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "charrnn.sklearn needs scikit-learn: pip install 'charrnn[sklearn]'\n"
