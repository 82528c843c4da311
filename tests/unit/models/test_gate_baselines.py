"""The baselines are honest: they do what they say, agree with scipy and scikit-learn, and work where it is easy."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d
from sklearn.dummy import DummyClassifier
from sklearn.metrics import f1_score

from models.logic_gate_detector.baselines import (
    SPANS,
    classical_learners,
    conditional_means,
    decide,
    input_rows,
    smoothed,
    template_scores,
    truth_table_scores,
    tune,
)
from models.logic_gate_detector.classes import NONE, TRUTH
from models.logic_gate_detector.data import balanced_block, generate, generator, observe, row_holds
from models.logic_gate_detector.oscillators import LogisticChaogate, OverdampedBistable

FAMILIES = [LogisticChaogate(), OverdampedBistable()]


@pytest.fixture(scope="module")
def block():
    return balanced_block(41, 0, FAMILIES, 1, snr_db=(0, 20))


@pytest.fixture(scope="module")
def easy():
    recordings = generate(np.tile(np.arange(7), 40), FAMILIES, generator(42, 0))
    return recordings, observe(recordings, np.full(len(recordings), 30.0), generator(42, 1))


def test_smoothing_is_a_centred_moving_average(block):
    for width in (3, 9):
        expected = uniform_filter1d(block.series.astype(float), width, axis=2)
        half = width // 2
        assert smoothed(block.series, width)[:, :, half:-half] == pytest.approx(expected[:, :, half:-half])
    ends = smoothed(block.series, 5)[:, :, 0]
    assert ends == pytest.approx(block.series[:, :, :3].astype(float).mean(axis=2))


def test_thresholded_inputs_are_the_true_rows_without_noise(easy):
    recordings, series = easy
    share = (input_rows(series.astype(float)) == recordings.rows).mean()
    assert share > 0.93  # edges have a finite slope


def test_truth_table_scores_are_the_definition_of_the_labels_where_there_is_no_noise(easy):
    recordings, _ = easy
    clean = recordings.clean
    scores = truth_table_scores(clean, 1, SPANS["middle third"])[1]
    assert np.median(np.abs(scores - row_holds(clean[:, 2].astype(float), recordings.rows))) < 0.05


def test_template_scores_are_pearson_correlations(easy):
    _, series = easy
    scores = template_scores(series[:5], 1)
    rows = input_rows(series[:5].astype(float))
    for i in range(5):
        for gate in range(6):
            expected = max(
                np.corrcoef(TRUTH[gate][rows[i, 14 - lag : 200 - lag]], series[i, 2, 14:])[0, 1] for lag in range(15)
            )
            assert scores[i, gate] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("method", ["truth table", "template"])
def test_a_tuned_decoder_is_strong_on_quiet_recordings(easy, method):
    recordings, series = easy
    decoder = tune(method, series, recordings.labels)
    assert f1_score(recordings.labels, decoder.predict(series), average="macro") > 0.95


def test_tuning_finds_settings_at_least_as_good_as_any_fixed_ones(block):
    labels = block.recordings.labels
    decoder = tune("template", block.series, labels)
    tuned = f1_score(labels, decoder.predict(block.series), average="macro")
    for width in (1, 5, 13):
        fixed = decide(template_scores(block.series, width), 0.5)
        assert tuned >= f1_score(labels, fixed, average="macro") - 0.02


def test_tuning_can_be_held_to_few_false_gates(block):
    labels = block.recordings.labels
    free = tune("truth table", block.series, labels)
    strict = tune("truth table", block.series, labels, false_gates=0.0)
    assert (strict.predict(block.series)[labels == NONE] == NONE).all()
    assert f1_score(labels, strict.predict(block.series), average="macro") <= f1_score(
        labels, free.predict(block.series), average="macro"
    )
    with pytest.raises(ValueError, match="false gates"):
        tune("truth table", block.series, labels, false_gates=-1.0)


def test_below_the_rejection_level_the_answer_is_none():
    scores = np.array([[0.9, 0, 0, 0, 0, 0], [0.2, 0.3, 0, 0, 0, 0]])
    assert decide(scores, 0.5).tolist() == [0, NONE]


def test_conditional_means_are_the_means_of_the_rows(easy):
    _, series = easy
    features = conditional_means(series[:3], lags=(4,))
    rows = input_rows(smoothed(series[:3], 5))
    for i in range(3):
        output = series[i, 2].astype(float)
        output = (output - output.mean()) / output.std()
        for row in range(4):
            values = output[4:][rows[i, :196] == row]
            assert features[i, 2 * row] == pytest.approx(values.mean())
            assert features[i, 2 * row + 1] == pytest.approx(values.std())


def test_the_classical_learners_beat_the_majority(easy):
    recordings, series = easy
    half = len(series) // 2
    features = conditional_means(series)
    majority = DummyClassifier(strategy="most_frequent").fit(features[:half], recordings.labels[:half])
    floor = f1_score(recordings.labels[half:], majority.predict(features[half:]), average="macro")
    for learner in classical_learners(seed=0).values():
        learner.fit(features[:half], recordings.labels[:half])
        assert f1_score(recordings.labels[half:], learner.predict(features[half:]), average="macro") > floor + 0.5
