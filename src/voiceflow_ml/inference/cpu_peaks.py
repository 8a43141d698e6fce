"""What this machine's cores do at best, measured: a data sheet does not tell what a virtual core gets."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from voiceflow_ml.hardware.machine import last_level_cache_bytes
from voiceflow_ml.hardware.peaks import Peaks

_SIZE = 512
_ROUNDS = 12
# Four times what a core's share of a last-level cache commonly is.
_COPIED_BYTES = 64 * 2**20
_COPIES = 3


def measured_peaks(threads: int) -> Peaks:
    """The peaks of this machine for a session of so many threads: as many times those of one, measured once.

    The products are those of the runtime that the model runs in (float32, and unsigned by signed 8-bit), 512 x 512,
    timed on the thread's own CPU time, which neighbours do not lengthen. They are what was reached here, not a
    physical limit, so a promise is called impossible only where the floor is twice its limit. That several threads
    come to as many times one, memory too, is too much rather than too little: the floor gets lower, and stays one.

    Args:
        threads: intra-op threads of the session, at least 1.
    """
    one = _peaks_of_one_thread()
    return Peaks(
        flops_per_s={name: threads * value for name, value in one.flops_per_s.items()},
        bytes_per_s=threads * (one.bytes_per_s or 0.0),
        cache_bytes=one.cache_bytes,
        source=f"measured here, {_SIZE} x {_SIZE} products in onnxruntime and copies, {threads} x one thread",
    )


@cache
def _peaks_of_one_thread() -> Peaks:
    operations = 2 * _SIZE**3
    products = {"fp32": _float_product(), "int8": _integer_product()}
    return Peaks(
        flops_per_s={name: operations / _best_s(call, _ROUNDS) for name, call in products.items()},
        bytes_per_s=_copy_bytes_per_s(),
        cache_bytes=last_level_cache_bytes(),
    )


def _best_s(call: Callable[[], object], rounds: int) -> float:
    """Least CPU time of this thread in seconds."""
    call()
    best_ns = 0
    for _ in range(rounds):
        start_ns = time.thread_time_ns()
        call()
        took_ns = max(1, time.thread_time_ns() - start_ns)
        best_ns = min(best_ns or took_ns, took_ns)
    return best_ns / 1e9


def _float_product() -> Callable[[], object]:
    values = np.ones((_SIZE, _SIZE), dtype=np.float32)
    return _product("MatMul", "FLOAT", ("FLOAT", values), values)


def _integer_product() -> Callable[[], object]:
    values = np.ones((_SIZE, _SIZE), dtype=np.int8)
    return _product("MatMulInteger", "INT32", ("UINT8", values.astype(np.uint8)), values)


def _product(operator: str, result: str, left: tuple[str, Any], right: Any) -> Callable[[], object]:
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
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"a": values})


def _copy_bytes_per_s() -> float:
    """Bytes that one thread reads and writes in a second of its own CPU time, waits for memory included."""
    # Written once before, so that no page is given out while it is timed.
    target, source = (np.ones(_COPIED_BYTES, np.uint8) for _ in range(2))
    return 2 * _COPIED_BYTES / _best_s(lambda: np.copyto(target, source), _COPIES)
