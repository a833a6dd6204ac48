"""Bayesian CCA as it is published, with loadings of full size: a reference, slow and simple.

Klami, Virtanen, Kaski (2013): q(W), q(Z), rotation by L-BFGS, q(alpha), q(tau), in this order,
until the relative change of the bound is small. No inner products of samples anywhere.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

PRIOR = 1e-14


def expected_log_gamma(shape, rate):
    return digamma(shape) - np.log(rate)


def gamma_prior_and_entropy(shape, rate):
    """E[log p(x)] - E[log q(x)] for q = Gamma(shape, rate) and p = Gamma(PRIOR, PRIOR)."""
    log_x, x = expected_log_gamma(shape, rate), shape / rate
    prior = PRIOR * np.log(PRIOR) - gammaln(PRIOR) + (PRIOR - 1) * log_x - PRIOR * x
    own = shape * np.log(rate) - gammaln(shape) + (shape - 1) * log_x - rate * x
    return np.sum(prior - own)


def gaussian_prior_and_entropy(mean, covariance, precision, log_precision):
    """E[log p] - E[log q] of rows of independent Gaussians; precision per column."""
    n, k = mean.shape
    squares = (mean**2).sum(axis=0) + n * np.diag(covariance)
    prior = n / 2 * np.sum(log_precision - np.log(2 * np.pi)) - precision @ squares / 2
    return prior + n / 2 * (k * (1 + np.log(2 * np.pi)) + np.linalg.slogdet(covariance)[1])


class PlainBCCA:
    def __init__(self, views, n_components, rng, rotate=True, tol=1e-6, max_iter=1000):
        self.means = [view.mean(axis=0) for view in views]
        self.X = [view - mean for view, mean in zip(views, self.means, strict=True)]
        self.n, self.K, self.M = len(views[0]), n_components, len(views)
        self.p = [view.shape[1] for view in views]
        self.rotate, self.tol, self.max_iter = rotate, tol, max_iter
        self.Z = rng.standard_normal((self.n, n_components))
        self.Z -= self.Z.mean(axis=0)
        self.cov_Z = np.eye(n_components)
        self.W, self.cov_W = [None] * self.M, [None] * self.M
        self.totals = [np.sum(view**2) for view in self.X]
        variances = [view.var() for view in self.X]
        self.a_tau = [PRIOR + self.n * p / 2 for p in self.p]
        self.b_tau = [a * v / 1000 for a, v in zip(self.a_tau, variances, strict=True)]
        self.a_alpha = [PRIOR + p / 2 for p in self.p]
        self.b_alpha = [
            np.full(n_components, a * v / n_components)
            for a, v in zip(self.a_alpha, variances, strict=True)
        ]

    def tau(self, m):
        return self.a_tau[m] / self.b_tau[m]

    def alpha(self, m):
        return self.a_alpha[m] / self.b_alpha[m]

    def ZZ(self):
        return self.Z.T @ self.Z + self.n * self.cov_Z

    def WW(self, m):
        return self.W[m].T @ self.W[m] + self.p[m] * self.cov_W[m]

    def sweep(self):
        for m in range(self.M):
            self.cov_W[m] = np.linalg.inv(self.tau(m) * self.ZZ() + np.diag(self.alpha(m)))
            self.W[m] = self.tau(m) * self.X[m].T @ self.Z @ self.cov_W[m]
        precision = np.eye(self.K) + sum(self.tau(m) * self.WW(m) for m in range(self.M))
        self.cov_Z = np.linalg.inv(precision)
        told = sum(self.tau(m) * self.X[m] @ self.W[m] for m in range(self.M))
        self.Z = told @ self.cov_Z
        if self.rotate:
            self.turn()
        for m in range(self.M):
            self.b_alpha[m] = PRIOR + np.diag(self.WW(m)) / 2
            self.b_tau[m] = PRIOR + self.squared_error(m) / 2

    def turn(self):
        WW, ZZ = [self.WW(m) for m in range(self.M)], self.ZZ()
        excess = sum(self.p) - self.n

        def cost(flat):
            R = flat.reshape(self.K, self.K)
            inverse = np.linalg.inv(R)
            turned = inverse @ ZZ @ inverse.T
            value = np.trace(turned) / 2 - excess * np.linalg.slogdet(R)[1]
            gradient = -inverse.T @ turned - excess * inverse.T
            for m in range(self.M):
                lengths = PRIOR + np.einsum("jk,jl,lk->k", R, WW[m], R) / 2
                value += self.a_alpha[m] * np.log(lengths).sum()
                gradient += self.a_alpha[m] * WW[m] @ R / lengths
            return value, gradient.ravel()

        start, options = np.eye(self.K).ravel(), {"maxiter": 1000, "ftol": 2e-6}
        found = minimize(cost, start, jac=True, method="L-BFGS-B", options=options)
        R = found.x.reshape(self.K, self.K)
        if found.fun > cost(start)[0]:
            return
        inverse = np.linalg.inv(R)
        self.Z, self.cov_Z = self.Z @ inverse.T, inverse @ self.cov_Z @ inverse.T
        self.W = [W @ R for W in self.W]
        self.cov_W = [R.T @ covariance @ R for covariance in self.cov_W]

    def squared_error(self, m):
        """E |X - Z W'|^2."""
        cross = np.sum((self.X[m].T @ self.Z) * self.W[m])
        return self.totals[m] - 2 * cross + np.sum(self.WW(m) * self.ZZ())

    def elbo(self):
        total = gaussian_prior_and_entropy(self.Z, self.cov_Z, np.ones(self.K), np.zeros(self.K))
        for m in range(self.M):
            log_tau = expected_log_gamma(self.a_tau[m], self.b_tau[m])
            log_alpha = expected_log_gamma(self.a_alpha[m], self.b_alpha[m])
            total += self.n * self.p[m] / 2 * (log_tau - np.log(2 * np.pi))
            total -= self.tau(m) * self.squared_error(m) / 2
            total += gaussian_prior_and_entropy(self.W[m], self.cov_W[m], self.alpha(m), log_alpha)
            total += gamma_prior_and_entropy(self.a_tau[m], self.b_tau[m])
            total += gamma_prior_and_entropy(self.a_alpha[m], self.b_alpha[m])
        return float(total)

    def fit(self):
        self.bounds = []
        for _ in range(self.max_iter):
            self.sweep()
            self.bounds.append(self.elbo())
            change = np.diff(self.bounds[-2:])
            if len(change) and abs(change[0]) < self.tol * abs(self.bounds[-1]):
                break
        return self

    def predict(self, view, others):
        precision = np.eye(self.K) + sum(self.tau(o) * self.WW(o) for o in others)
        told = sum(self.tau(o) * (X - self.means[o]) @ self.W[o] for o, X in others.items())
        return np.linalg.solve(precision, told.T).T @ self.W[view].T + self.means[view]


def best_plain(views, n_components, seed, n_restarts=10, **options):
    """Return the run with the largest bound."""
    streams = np.random.SeedSequence(seed).spawn(n_restarts)
    runs = [
        PlainBCCA(views, n_components, np.random.default_rng(stream), **options).fit()
        for stream in streams
    ]
    return max(runs, key=lambda one: one.bounds[-1])
