#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fits tanh(x) = x P(x^2) / Q(x^2) on [-9, 9] with the smallest relative error (Lawson's
iteration on the linearised problem) and prints the coefficients of src/model/mlp_kernels.h."""
import numpy as np
from numpy.polynomial import chebyshev, polynomial

LIMIT, DEGREE_P, DEGREE_Q, POINTS, ROUNDS = 9.0, 4, 4, 4000, 300


def to_powers(series):
    """Chebyshev series in s = 2 (x / LIMIT)^2 - 1 -> powers of x^2."""
    inner = polynomial.Polynomial([-1.0, 2.0 / LIMIT**2])
    return polynomial.Polynomial(chebyshev.cheb2poly(series))(inner).coef


def fit():
    x = np.sort(LIMIT / 2 * (1 - np.cos((np.arange(POINTS) + 0.5) / POINTS * np.pi)))
    target = np.tanh(x) / x
    s = 2 * (x / LIMIT) ** 2 - 1
    base_p, base_q = chebyshev.chebvander(s, DEGREE_P), chebyshev.chebvander(s, DEGREE_Q)
    weight, denominator, best = np.ones(POINTS), np.ones(POINTS), None
    for _ in range(ROUNDS):
        w = np.sqrt(weight) / (denominator * target)
        matrix = np.hstack([base_p * w[:, None], -(target * w)[:, None] * base_q[:, 1:]])
        solution = np.linalg.lstsq(matrix, target * w * base_q[:, 0], rcond=None)[0]
        p, q = solution[: DEGREE_P + 1], np.concatenate([[1.0], solution[DEGREE_P + 1:]])
        denominator = base_q @ q
        error = np.abs(base_p @ p / denominator / target - 1)
        if best is None or error.max() < best[0]:
            best = (error.max(), to_powers(p), to_powers(q))
        weight *= error / error.max() + 1e-3
        weight /= weight.mean()
    return best


error, p, q = fit()
print(f"/* relative error {error:.2e} */")
for name, coefficients in (("P", p / q[0]), ("Q", q / q[0])):
    for i, value in enumerate(coefficients):
        print(f"#define MLP_TANH_{name}{i} {float(np.float32(value)):.8e}f")
