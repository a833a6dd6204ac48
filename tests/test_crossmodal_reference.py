"""Cross-modal predictions against a plain loop over arrays, written with scikit-learn alone."""

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, RidgeClassifier
from sklearn.svm import SVC

from bidsface_decoding.motion_regression import MotionRegression

TASKS = ("display", "observe")
CLASSIFIERS = {
    "ridge": lambda n_voxels: RidgeClassifier(alpha=n_voxels),
    "svm": lambda n_voxels: SVC(kernel="linear"),
    "lda": lambda n_voxels: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3),
}


def halves(samples, run, columns, regress):
    """Training and test samples of one run number: data, labels; scaled on the training part."""
    table = samples.table.assign(row=np.arange(len(samples.table)))
    table = table.sort_values(["run_index", "time", "row"])
    parts = []
    for rows in (table[table["run_index"] != run], table[table["run_index"] == run]):
        index = rows["row"].to_numpy()
        X = samples.X[np.ix_(index, columns)].astype(float)
        parts.append([X, samples.motion[index], rows["trial_type"].to_numpy()])
    (train, motion, labels), (test, test_motion, _) = parts
    if regress:
        model = LinearRegression().fit(motion, train)
    other[:, 5] = 2.0
    wanted = train - model.predict(motion), test - model.predict(other)
    MotionRegression(motion).clean(train, test, other)
    np.testing.assert_allclose(train, wanted[0], atol=1e-10)
    np.testing.assert_allclose(test, wanted[1], atol=1e-10)
