"""Kolmogorov-Smirnov drift detector for batches of instances with one or many features."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors.arguments import check_number, check_positive_int
from detectors.corrections import benjamini_hochberg, bonferroni
from detectors.errors import InvalidArgumentError
from detectors.feature_matrix import feature_matrix, instances_array, sorted_features
from detectors.kolmogorov_smirnov.ks_test import KSMethod, ks_lattice_statistic, ks_p_values, parse_method
from detectors.meta import detector_meta
from detectors.promises.window_samples import Alternative, parse_alternative
from detectors.reference_update import ReferenceUpdate

Preprocessor: TypeAlias = Callable[[Any], Any]
FloatArray = npt.NDArray[np.float64]

_CORRECTIONS = {"bonferroni": bonferroni, "fdr": benjamini_hochberg}


class KSDrift:
    """Detects drift of a batch against reference data by a two-sample K-S test of every feature.

    Parameters
    ----------
    x_ref
        Reference instances, shape (n, ...); anything that ``preprocess_fn`` takes if there is one.
    p_val
        Significance level; with ``correction='fdr'`` the accepted false discovery rate.
    x_ref_preprocessed
        Whether ``x_ref`` is the output of ``preprocess_fn`` already; then only new batches are preprocessed.
    preprocess_at_init
        Whether ``x_ref`` is preprocessed once, when the detector is made, rather than at every prediction.
    update_x_ref
        ``{'last': n}`` or ``{'reservoir_sampling': n}`` to take each predicted batch into the reference,
        which then holds at most n instances; None to keep it.
    preprocess_fn
        Turns instances into features, such as ``functools.partial(distillation.score, batch_size=128)``.
    correction
        ``bonferroni`` or ``fdr`` (Benjamini-Hochberg): how the p-values of many features become one decision.
    alternative
        ``two-sided``; ``higher`` (features got larger) or ``lower``; or scipy's names with the meaning they
        have in ``ks_2samp(x_ref, x)``: ``greater`` is ``higher``, ``less`` is ``lower``.
    n_features
        Number of features after preprocessing and flattening; found from ``x_ref`` if None.
    input_shape
        Shape of one instance before preprocessing; found from ``x_ref`` if that is not preprocessed.
    data_type
        Free text kept in the metadata, such as ``image``.
    method
        ``auto`` (exact p-values up to samples of 10,000), ``exact`` or ``asymp``.

    Attributes
    ----------
    x_ref
        Current reference; preprocessed unless ``preprocess_at_init`` is False.
    n
        Number of instances seen so far, those of the first reference included.
    n_features
        Number of tests made on a batch.
    meta
        Name, type and data type of the detector.

    Raises
    ------
    InvalidArgumentError
        If an argument has a wrong type or value, or the reference is empty, not numeric or holds a NaN.

    Notes
    -----
    For each feature ``D = sup_x |F(x) - G(x)|``, with the empirical distribution functions F of the reference
    and G of the batch (``F - G`` for ``higher``, ``G - F`` for ``lower``), and its p-value as in
    ``detectors.KolmogorovSmirnovTest``. Of f p-values, ``bonferroni`` detects drift if one is below
    ``p_val / f``, and ``fdr`` if for some k the k-th smallest is below ``p_val * k / f``.

    References
    ----------
    J. L. Hodges (1958), "The significance probability of the Smirnov two-sample test", Arkiv för Matematik 3,
    469-486. Y. Benjamini, Y. Hochberg (1995), "Controlling the false discovery rate", Journal of the Royal
    Statistical Society B 57, 289-300.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> detector = KSDrift(rng.normal(size=(500, 2)), p_val=0.05)
    >>> detector.predict(rng.normal(size=(100, 2)) + 1.0)["data"]["is_drift"]
    1
    """

    def __init__(
        self,
        x_ref: Any,
        p_val: float = 0.05,
        x_ref_preprocessed: bool = False,
        preprocess_at_init: bool = True,
        update_x_ref: Mapping[str, int] | None = None,
        preprocess_fn: Preprocessor | None = None,
        correction: str = "bonferroni",
        alternative: str = "two-sided",
        n_features: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        data_type: str | None = None,
        *,
        method: str = "auto",
    ) -> None:
        if correction not in _CORRECTIONS:
            raise InvalidArgumentError(f"correction must be 'bonferroni' or 'fdr', not {correction!r}.")
        if preprocess_fn is not None and not callable(preprocess_fn):
            raise InvalidArgumentError(f"preprocess_fn must be callable or None, not {preprocess_fn!r}.")
        for name, flag in (
            ("x_ref_preprocessed", x_ref_preprocessed),
            ("preprocess_at_init", preprocess_at_init),
        ):
            if not isinstance(flag, (bool, np.bool_)):
                raise InvalidArgumentError(f"{name} must be True or False, not {flag!r}.")

        self.p_val = check_number(p_val, "p_val", 0.0, 1.0)
        self.correction = correction
        self.alternative: Alternative = parse_alternative(alternative, scipy_greater="higher")
        self.method: KSMethod = parse_method(method)
        self.preprocess_fn = preprocess_fn
        self.x_ref_preprocessed = bool(x_ref_preprocessed)
        self.preprocess_at_init = bool(preprocess_at_init)
        self.update_x_ref = dict(update_x_ref) if isinstance(update_x_ref, Mapping) else update_x_ref
        self._update = None if update_x_ref is None else ReferenceUpdate.parse(update_x_ref)
        self._rng = np.random.default_rng()
        self.input_shape = input_shape
        if input_shape is None and not self.x_ref_preprocessed:
            self.input_shape = tuple(np.shape(x_ref)[1:])

        self._preprocess_later = (
            preprocess_fn is not None and not self.x_ref_preprocessed and not self.preprocess_at_init
        )
        if preprocess_fn is not None and not self.x_ref_preprocessed and self.preprocess_at_init:
            x_ref = preprocess_fn(x_ref)
        self.x_ref: npt.NDArray[Any] = instances_array(x_ref, "x_ref")
        self.n = len(self.x_ref)
        self._sorted_reference: FloatArray | None = None

        if n_features is not None:
            n_features = check_positive_int(n_features, "n_features")
        if self._preprocess_later:
            found = n_features if n_features is not None else self._features(self.x_ref[:1], "x_ref").shape[1]
        else:
            found = self._reference().shape[0]
        if n_features is not None and n_features != found:
            raise InvalidArgumentError(f"n_features is {n_features}, but x_ref has {found} features.")
        self.n_features = int(found)
        self.meta = detector_meta(type(self).__name__, "drift", data_type)

    def predict(
        self,
        x: Any,
        drift_type: Literal["batch", "feature"] = "batch",
        return_p_val: bool = True,
        return_distance: bool = True,
    ) -> dict[str, dict[str, Any]]:
        """Decide whether a batch has drifted, and update the reference if that was asked for.

        Parameters
        ----------
        x
            Batch of instances, shape (k, ...).
        drift_type
            ``batch``: one decision, corrected for the number of features; ``feature``: one a feature, each at
            level ``p_val``.
        return_p_val
            Whether to return the p-value of each feature.
        return_distance
            Whether to return the K-S statistic of each feature.

        Returns
        -------
        dict
            ``meta``, and ``data`` with ``is_drift`` (0 or 1, or an int64 array of shape (f,)), ``threshold``
            that p-values must be below, ``p_val`` and ``distance`` (float64, shape (f,), or None).

        Raises
        ------
        InvalidArgumentError
            If ``drift_type`` is unknown, or the batch is empty, holds a NaN or has other features than the
            reference.
        """
        if drift_type not in ("batch", "feature"):
            raise InvalidArgumentError(f"drift_type must be 'batch' or 'feature', not {drift_type!r}.")
        features = self._features(x, "x")
        p_values, distances = self._score_features(features)
        is_drift: int | npt.NDArray[np.int64]
        if drift_type == "feature":
            is_drift, threshold = (p_values < self.p_val).astype(np.int64), self.p_val
        else:
            drifted, threshold = _CORRECTIONS[self.correction](p_values, self.p_val)
            is_drift = int(drifted)
        self._take_in(x, features)
        return {
            "meta": dict(self.meta),
            "data": {
                "is_drift": is_drift,
                "threshold": threshold,
                "p_val": p_values if return_p_val else None,
                "distance": distances if return_distance else None,
            },
        }

    def score(self, x: Any) -> tuple[FloatArray, FloatArray]:
        """P-value and K-S statistic of every feature of a batch, without updating the reference.

        Parameters
        ----------
        x
            Batch of instances, shape (k, ...), before preprocessing.

        Returns
        -------
        tuple[FloatArray, FloatArray]
            P-values and statistics, each of shape (f,).
        """
        return self._score_features(self._features(x, "x"))

    def feature_score(self, x_ref: npt.ArrayLike, x: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """P-value and K-S statistic of every feature of two preprocessed samples.

        Parameters
        ----------
        x_ref
            Reference features, shape (n, ...); flattened to (n, f).
        x
            Features of the batch, shape (k, ...); flattened to (k, f).

        Returns
        -------
        tuple[FloatArray, FloatArray]
            P-values and statistics, each of shape (f,).
        """
        return self._test(sorted_features(feature_matrix(x_ref, "x_ref"), "x_ref"), feature_matrix(x, "x"))

    def _features(self, x: Any, what: str) -> FloatArray:
        return feature_matrix(x if self.preprocess_fn is None else self.preprocess_fn(x), what)

    def _reference(self) -> FloatArray:
        """Sorted reference, one row a feature, shape (f, n); sorted anew only after an update."""
        if self._sorted_reference is None:
            features = self._features(self.x_ref, "x_ref") if self._preprocess_later else self.x_ref
            self._sorted_reference = sorted_features(feature_matrix(features, "x_ref"), "x_ref")
        return self._sorted_reference

    def _score_features(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self._test(self._reference(), features)

    def _test(self, reference: FloatArray, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        if features.shape[1] != len(reference):
            raise InvalidArgumentError(
                f"x has {features.shape[1]} features an instance, but the reference has {len(reference)}."
            )
        batch = sorted_features(features, "x")
        n, m = reference.shape[1], batch.shape[1]
        statistics = np.array(
            [
                ks_lattice_statistic(of_reference, of_batch[None], self.alternative)[0]
                for of_reference, of_batch in zip(reference, batch, strict=True)
            ],
            dtype=np.int64,
        )
        p_values = ks_p_values(statistics, n, m, self.alternative == "two-sided", self.method)
        return p_values, statistics / math.lcm(n, m)

    def _take_in(self, x: Any, features: FloatArray) -> None:
        if self._update is not None:
            new = (
                instances_array(x, "x")
                if self._preprocess_later
                else features.reshape(-1, *self.x_ref.shape[1:])
            )
            self.x_ref = self._update.apply(self.x_ref, new, self.n, self._rng)
            self._sorted_reference = None
        self.n += len(features)
