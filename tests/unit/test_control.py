from __future__ import annotations

import tracemalloc

import numpy as np

from voiceflow_ml.hardware.control import ControlWorkload


def test_the_control_computes_the_product_of_its_matrices() -> None:
    control = ControlWorkload()
    control()
    assert control._product.dtype == np.float32
    np.testing.assert_allclose(control._product, control._left @ control._right, rtol=1e-4, atol=1e-4)


def test_the_control_is_the_same_work_every_time_and_everywhere() -> None:
    first, second = ControlWorkload(), ControlWorkload()
    first()
    once = first._product.copy()
    first()
    second()
    np.testing.assert_array_equal(first._product, once)
    np.testing.assert_array_equal(second._product, once)


def test_the_control_makes_no_matrix_while_it_is_timed() -> None:
    control = ControlWorkload()
    control()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        control()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < control._product.nbytes // 4


def test_the_control_is_too_small_for_the_matrix_library_to_share_out() -> None:
    # OpenBLAS calls in its threads above 65 536 x 4 multiplications (SMP_THRESHOLD_MIN, GEMM_MULTITHREAD_THRESHOLD).
    control = ControlWorkload()
    rows, inner = control._left.shape
    assert rows * inner * control._right.shape[1] <= 65_536 * 4
