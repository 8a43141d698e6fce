"""What this machine's cores do at best, measured: a data sheet does not tell what a virtual core gets."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from voiceflow_ml.hardware.machine import last_level_cache_bytes
from voiceflow_ml.hardware.targets import Peaks

_SIZE = 512
_ROUNDS = 12
# Four times what a core's share of a last-level cache commonly is.
_COPIED_BYTES = 64 * 2**20
_COPIES = 3


@cache
def measured_peaks(threads: int) -> Peaks:
    """Measure the peaks of this machine: best of a dozen products, best of three copies; about 0.3 s, once.

    The products are those of the runtime that the model runs in (float32, and unsigned by signed 8-bit), 512 x 512,
    with as many threads. They are what was reached here, not a physical limit: the best of several is taken, and a
    promise is called impossible only where the floor is twice its limit.

    Args:
        threads: intra-op threads of the session, at least 1.
    """
    operations = 2 * _SIZE**3
    products = {"fp32": _float_product(threads), "int8": _integer_product(threads)}
    return Peaks(
        flops_per_s={name: operations / _best_s(call, _ROUNDS) for name, call in products.items()},
        bytes_per_s=_copy_bytes_per_s(threads),
        cache_bytes=last_level_cache_bytes(),
        source=f"measured here, {_SIZE} x {_SIZE} products in onnxruntime and copies, "
        f"{threads} thread{'s' if threads > 1 else ''}",
    )


def _best_s(call: Callable[[], object], rounds: int) -> float:
    call()
    best_ns = 0
    for _ in range(rounds):
        start_ns = time.perf_counter_ns()
        call()
        took_ns = max(1, time.perf_counter_ns() - start_ns)
        best_ns = min(best_ns or took_ns, took_ns)
    return best_ns / 1e9


def _float_product(threads: int) -> Callable[[], object]:
    values = np.ones((_SIZE, _SIZE), dtype=np.float32)
    return _product("MatMul", "FLOAT", ("FLOAT", values), values, threads)


def _integer_product(threads: int) -> Callable[[], object]:
    values = np.ones((_SIZE, _SIZE), dtype=np.int8)
    return _product("MatMulInteger", "INT32", ("UINT8", values.astype(np.uint8)), values, threads)


def _product(operator: str, result: str, left: tuple[str, Any], right: Any, threads: int) -> Callable[[], object]:
    import onnxruntime as ort  # noqa: PLC0415
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    kind, values = left
    graph = helper.make_graph(
        [helper.make_node(operator, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.DataType.Value(kind), [_SIZE, _SIZE])],
        [helper.make_tensor_value_info("c", TensorProto.DataType.Value(result), [_SIZE, _SIZE])],
        # A constant, as weights are: the runtime packs it once.
        [numpy_helper.from_array(right, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"a": values})


def _copy_bytes_per_s(threads: int) -> float:
    """Bytes read and written in a second by as many threads, each copying memory of its own."""
    # Written once before, so that no page is given out while it is timed.
    size = _COPIED_BYTES // threads
    pairs = [(np.ones(size, np.uint8), np.ones(size, np.uint8)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        seconds = _best_s(lambda: list(pool.map(lambda pair: np.copyto(*pair), pairs)), _COPIES)
    return 2 * size * threads / seconds
