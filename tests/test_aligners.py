"""Aligners: weights on the fitted samples, equal to plain implementations with all features."""

import subprocess
import sys

import numpy as np
import pytest
from paired_views import agreement, planted_views
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group
from sklearn.base import clone
from sklearn.linear_model import Ridge

import bidsface_decoding
from bidsface.errors import RecipeError
from bidsface_decoding.aligners import (
    ALIGNERS,
    Aligner,
    ProcrustesAligner,
    RidgeAligner,
    SharedResponseModel,
)
from bidsface_decoding.analysis import Decoding
from bidsface_decoding.inner_products import centred, centred_cross, inner_products
from bidsface_decoding.options import build_estimators

QUICK = {
    "bcca": {"n_components": 6, "n_restarts": 2, "random_state": 0},
    "procrustes": {},
    "ridge-alignment": {},
    "srm": {"n_components": 4},
}


def make(name):
    return ALIGNERS[name](**QUICK[name])


def crosses(new, views, others):
    return {view: new[view] @ views[view].T for view in others}


@pytest.fixture(scope="module")
def data():
    return planted_views(1, n=50, p=(60, 90, 40), n_specific=(1, 2, 0), strength=0.4)


def test_every_aligner_is_offered_by_name():
    assert set(QUICK) == set(ALIGNERS)
    offered = bidsface_decoding.bidsface_estimators()
    assert {name: offered[name] for name in ALIGNERS} == dict(ALIGNERS)
    assert "ridge" in offered
    assert all(issubclass(one, Aligner) for one in ALIGNERS.values())


@pytest.mark.parametrize("name", ALIGNERS)
@pytest.mark.parametrize(("view", "others"), [(0, [1]), (1, [0]), (2, [0, 1])])
def test_predictions_are_weights_on_the_fitted_samples(name, view, others, data):
    fitted = make(name).fit(data.views)
    predicted = fitted.predict(view, {other: data.new[other] for other in others})
    grams = [x @ x.T for x in data.views]
    from_grams = make(name).fit_grams(grams, [x.shape[1] for x in data.views])
    mixing = from_grams.mixing(view, crosses(data.new, data.views, others))
    assert mixing.shape == (200, 50)
    np.testing.assert_allclose(mixing.sum(axis=1), 1)
    np.testing.assert_allclose(mixing @ data.views[view], predicted, atol=1e-6)
    np.testing.assert_allclose(
        from_grams.scores(crosses(data.new, data.views, others)),
        fitted.transform({other: data.new[other] for other in others}),
        atol=1e-6,
    )


@pytest.mark.parametrize("name", ALIGNERS)
def test_what_views_share_is_predicted(name, data):
    fitted = make(name).fit(data.views)
    mean = data.views[0].mean(axis=0)
    predicted = fitted.predict(0, {1: data.new[1], 2: data.new[2]})
    # A rotation cannot tell signal from noise and carries both over.
    least = 0.6 if name == "procrustes" else 0.8
    assert agreement(predicted, data.shared_truth[0], mean) > least
    wrong = make(name).fit([data.views[0][::-1], *data.views[1:]])  # pairs that do not belong
    assert abs(agreement(wrong.predict(0, {1: data.new[1]}), data.shared_truth[0], mean)) < 0.35


@pytest.mark.parametrize("name", ["procrustes", "ridge-alignment", "srm"])
def test_order_of_the_pairs_does_not_matter(name, data):
    order = np.random.default_rng(0).permutation(50)
    plain = make(name).fit(data.views)
    other = make(name).fit([view[order] for view in data.views])
    np.testing.assert_allclose(
        other.predict(0, {1: data.new[1]}), plain.predict(0, {1: data.new[1]}), atol=1e-6
    )


@pytest.mark.parametrize("name", ALIGNERS)
def test_axes_and_offsets_of_the_voxels_do_not_matter(name, data):
    turn = ortho_group.rvs(90, random_state=0)
    plain = make(name).fit(data.views)
    turned = make(name).fit([data.views[0] + 3, data.views[1] @ turn - 1, data.views[2]])
    np.testing.assert_allclose(
        turned.predict(0, {1: data.new[1] @ turn - 1}),
        plain.predict(0, {1: data.new[1]}) + 3,
        atol=1e-5,
    )


@pytest.mark.parametrize("name", ALIGNERS)
def test_single_precision_is_read_as_it_is(name, data):
    single = [view.astype(np.float32) for view in data.views]
    fitted = make(name).fit(single)
    assert all(kept is given for kept, given in zip(fitted.views_, single, strict=True))
    np.testing.assert_allclose(
        fitted.predict(0, {1: data.new[1]}),
        make(name).fit(data.views).predict(0, {1: data.new[1]}),
        atol=1e-3,
    )


@pytest.mark.parametrize("name", ALIGNERS)
def test_a_view_that_does_not_vary_tells_nothing(name, data):
    views = [np.full((50, 4), 2.5), *data.views[1:]]
    fitted = make(name).fit(views)
    np.testing.assert_allclose(fitted.predict(0, {1: data.new[1]}), 2.5)
    predicted = fitted.predict(1, {0: np.full((200, 4), 2.5)})
    np.testing.assert_allclose(predicted, np.tile(views[1].mean(axis=0), (200, 1)), atol=1e-9)
    assert np.isfinite(fitted.predict(1, {0: np.full((200, 4), 2.5), 2: data.new[2]})).all()
    assert np.isfinite(fitted.transform({1: data.new[1]})).all()


@pytest.mark.parametrize("name", ALIGNERS)
@pytest.mark.parametrize("p", [(1, 1), (1, 30), (3, 2)])
def test_few_features(name, p):
    small = planted_views(3, n=30, p=p, n_shared=1, n_specific=(0, 0), strength=4.0)
    predicted = make(name).fit(small.views).predict(0, {1: small.new[1]})
    assert agreement(predicted, small.shared_truth[0], small.views[0].mean(axis=0)) > 0.6


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("p", [(20, 20), (70, 70)])
def test_procrustes_equals_scipy(p, scale):
    data = planted_views(4, n=40, p=p, n_new=10)
    means = [view.mean(axis=0) for view in data.views]
    first, second = (view - mean for view, mean in zip(data.views, means, strict=True))
    R, total = orthogonal_procrustes(second, first)
    if p[0] > 40:  # SciPy fills up R with directions in which no sample varies
        U, D, Vt = np.linalg.svd(second.T @ first)
        R = U[:, : (D > 1e-9).sum()] @ Vt[: (D > 1e-9).sum()]
    factor = total / np.sum(second**2) if scale else 1.0
    expected = factor * (data.new[1] - means[1]) @ R + means[0]
    found = ProcrustesAligner(scale=scale).fit(data.views).predict(0, {1: data.new[1]})
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("p", [(30, 12), (12, 30)])
def test_procrustes_between_different_numbers_of_features_is_semi_orthogonal(p):
    data = planted_views(5, n=60, p=p, offset=0.0)
    fitted = ProcrustesAligner(scale=False).fit(data.views)
    zero = fitted.predict(0, {1: np.zeros((1, p[1]))})
    R = fitted.predict(0, {1: np.eye(p[1])}) - zero  # (p_1, p_0)
    small = R.T @ R if p[0] < p[1] else R @ R.T
    np.testing.assert_allclose(small, np.eye(12), atol=1e-8)


@pytest.mark.parametrize("others", [[1], [1, 2]])
def test_ridge_alignment_equals_scikit_learn(others, data):
    side = np.hstack([data.views[other] for other in others])
    penalty = 0.3 * np.sum((side - side.mean(axis=0)) ** 2) / 50
    reference = Ridge(alpha=penalty).fit(side, data.views[0])
    expected = reference.predict(np.hstack([data.new[other] for other in others]))
    fitted = RidgeAligner(alpha=0.3).fit(data.views)
    found = fitted.predict(0, {other: data.new[other] for other in others})
    np.testing.assert_allclose(found, expected, atol=1e-8)


def plain_shared_response(views, n_components, n_iter):
    """Deterministic shared response model with matrices of full size."""
    scales = [np.sqrt(np.sum(view**2) / len(view)) for view in views]
    X = [view / scale for view, scale in zip(views, scales, strict=True)]
    U, D, _ = np.linalg.svd(np.hstack(X), full_matrices=False)
    S = U[:, :n_components] * D[:n_components] / np.sqrt(len(X))
    errors = []
    for _ in range(n_iter):
        W = []
        for x in X:
            u, _, vt = np.linalg.svd(x.T @ S, full_matrices=False)
            W.append(u @ vt)
        S = np.mean([x @ w for x, w in zip(X, W, strict=True)], axis=0)
        errors.append(sum(np.sum((x - S @ w.T) ** 2) for x, w in zip(X, W, strict=True)))
    return S, W, scales, errors


def test_shared_response_model_equals_a_plain_one(data):
    means = [view.mean(axis=0) for view in data.views]
    views = [view - mean for view, mean in zip(data.views, means, strict=True)]
    fitted = SharedResponseModel(n_components=4).fit(data.views)
    assert fitted.converged_
    S, W, scales, errors = plain_shared_response(views, 4, fitted.n_iter_)
    assert np.diff(errors).max() <= 0
    np.testing.assert_allclose(
        fitted.shared_response_ @ fitted.shared_response_.T, S @ S.T, atol=1e-6 * np.sum(S**2)
    )
    told = [(data.new[o] - means[o]) @ W[o] / scales[o] for o in (1, 2)]
    expected = scales[0] * np.mean(told, axis=0) @ W[0].T + means[0]
    found = fitted.predict(0, {1: data.new[1], 2: data.new[2]})
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_shared_response_model_says_when_it_has_not_converged(data):
    assert not SharedResponseModel(4, tol=0.0, max_iter=2).fit(data.views).converged_


def test_inner_products_are_summed_in_blocks_and_double_precision():
    rng = np.random.default_rng(0)
    X, Y = (rng.standard_normal((n, 1000)).astype(np.float32) for n in (7, 5))
    np.testing.assert_allclose(
        inner_products(X, Y, block_size=64), X.astype(float) @ Y.astype(float).T, rtol=1e-12
    )
    centre = X.astype(float) - X.astype(float).mean(axis=0)
    np.testing.assert_allclose(centred(inner_products(X, X)), centre @ centre.T, atol=1e-9)
    new = Y.astype(float) - X.astype(float).mean(axis=0)
    np.testing.assert_allclose(
        centred_cross(inner_products(Y, X), inner_products(X, X)), new @ centre.T, atol=1e-9
    )


def test_shared_space_of_the_first_view_is_its_principal_axes(data):
    fitted = RidgeAligner().fit(data.views)
    centre = data.new[0] - data.views[0].mean(axis=0)
    axes = np.linalg.svd(data.views[0] - data.views[0].mean(axis=0), full_matrices=False)[2]
    scores = fitted.transform([data.new[0], None, None])
    assert scores.shape == (200, 49)
    np.testing.assert_allclose(np.abs(scores), np.abs(centre @ axes[:49].T), atol=1e-7)


@pytest.mark.parametrize("name", ALIGNERS)
def test_what_cannot_be_is_refused(name, data):
    aligner = make(name)
    with pytest.raises(ValueError, match="at least 2 views"):
        aligner.fit(data.views[:1])
    with pytest.raises(ValueError, match="at least 3 paired samples, found 2"):
        aligner.fit([view[:2] for view in data.views])
    with pytest.raises(ValueError, match="views must have the same samples"):
        aligner.fit([data.views[0], data.views[1][:40]])
    with pytest.raises(ValueError, match="view 1 contains numbers that are not finite"):
        aligner.fit([data.views[0], np.full((50, 3), np.nan)])
    fitted = make(name).fit(data.views)
    with pytest.raises(ValueError, match="cannot be among the others"):
        fitted.predict(0, {0: data.new[0], 1: data.new[1]})
    with pytest.raises(ValueError, match="no view 3; there are 0 to 2"):
        fitted.predict(3, {0: data.new[0]})
    with pytest.raises(ValueError, match="no view to start from"):
        fitted.predict(0, {})
    with pytest.raises(ValueError, match="view 1 has 60 features, 90 were fitted"):
        fitted.predict(0, {1: data.new[0]})
    with pytest.raises(ValueError, match="different numbers of new samples"):
        fitted.predict(0, {1: data.new[1], 2: data.new[2][:5]})
    with pytest.raises(ValueError, match=r"have shape \(4, 7\)"):
        fitted.mixing(0, {1: np.ones((4, 7))})
    grams = clone(aligner).fit_grams([x @ x.T for x in data.views], [60, 90, 40])
    with pytest.raises(ValueError, match="fitted to inner products: use mixing"):
        grams.predict(0, {1: data.new[1]})


@pytest.mark.parametrize(
    ("aligner", "message"),
    [
        (RidgeAligner(alpha=0), "alpha"),
        (ProcrustesAligner(scale=2), "scale"),
        (SharedResponseModel(n_components=0), "n_components"),
    ],
)
def test_wrong_options_are_refused(aligner, message, data):
    with pytest.raises(ValueError, match=message):
        aligner.fit(data.views)


@pytest.mark.parametrize("name", ALIGNERS)
def test_an_aligner_is_no_classifier(name):
    options = Decoding.Options(estimators=[name])
    message = f"'{name}' is an aligner, not a classifier; there are lda, logistic, ridge, svm"
    with pytest.raises(RecipeError, match=message):
        build_estimators(
            options,
            {
                one: factory
                for one, factory in bidsface_decoding.bidsface_estimators().items()
                if one in {*ALIGNERS, "lda", "logistic", "ridge", "svm"}
            },
        )


def test_the_plugin_imports_no_numerics_before_they_are_asked_for():
    code = "import sys, bidsface_decoding; print('scipy' in sys.modules, 'sklearn' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", "False"]
