"""The metrics agree with scikit-learn and with closed forms."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import confusion_matrix, f1_score

from models.metrics import bootstrap, calibration_error, confusion, macro_f1


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 7, 500)
    return truth, np.where(rng.random(500) < 0.7, truth, rng.integers(0, 7, 500))


def test_macro_f1_and_confusion_are_those_of_scikit_learn(answers):
    truth, predicted = answers
    assert macro_f1(truth, predicted) == pytest.approx(f1_score(truth, predicted, average="macro"), abs=1e-12)
    assert (confusion(truth, predicted, 7) == confusion_matrix(truth, predicted)).all()


def test_a_class_that_is_never_right_counts_in_the_mean():
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])
    assert macro_f1(truth, predicted) == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))


def test_calibration_error_of_answers_with_known_confidence():
    # 100 answers at confidence .8 of which 60 are right, 100 at .6 of which 60 are right: (.2 + 0) / 2.
    probabilities = np.array([[0.8, 0.2]] * 100 + [[0.6, 0.4]] * 100)
    truth = np.array(([0] * 60 + [1] * 40) * 2)
    assert calibration_error(truth, probabilities) == pytest.approx(0.1)


def test_bootstrap_interval_of_a_proportion_is_the_binomial_one():
    hits = np.zeros(400)
    hits[:300] = 1.0
    low, high = bootstrap(400, lambda pick: float(hits[pick].mean()), np.random.default_rng(0), resamples=4000)
    exact = stats.binom(400, 0.75).ppf((0.025, 0.975)) / 400
    assert (low, high) == pytest.approx(tuple(exact), abs=0.006)
