"""Expectation propagation for logistic regression with a sparse prior: arrays to arrays."""
