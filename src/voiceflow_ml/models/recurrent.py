"""A bidirectional LSTM that PyTorch trains and ONNX Runtime runs, whatever the batch and the length.

The exporter unrolls ``nn.LSTM`` over a fixed number of steps or refuses it when
the time axis is dynamic. ONNX has one operator for a whole bidirectional layer,
so during an export each layer emits that operator with its weights reordered.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LSTM_OPSET = 14
"""The release of ONNX that last changed LSTM before the opset of our exports, or was in force with it."""


class BiLstm(nn.Module):
    """Bidirectional LSTM layers, one after the other."""

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        """Layers with random weights.

        Args:
            inputs: Channels that come in.
            hidden: Cells of each direction; ``2 * hidden`` channels go out.
            layers: How many, at least 1.
        """
        super().__init__()
        sizes = [inputs, *[2 * hidden] * (layers - 1)]
        # One module for each layer: the export needs what is between them.
        self.layers = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True, bidirectional=True) for size in sizes)

    def forward(self, features: Tensor) -> Tensor:
        """``[batch, time, inputs]`` -> ``[batch, time, 2 * hidden]``."""
        for layer in self.layers:
            if torch.onnx.is_in_onnx_export():
                features = _onnx_layer(layer, features)
            else:
                # cuDNN and oneDNN have no mixed LSTM; float32 weights take float32 features.
                with torch.autocast(features.device.type, enabled=False):
                    features = layer(features.to(next(layer.parameters()).dtype))[0]
        return features


def _onnx_layer(layer: nn.Module, features: Tensor) -> Tensor:
    """One ONNX LSTM node: ``[batch, time, inputs]`` -> ``[batch, time, 2 * hidden]``."""
    sides = ("", "_reverse")
    weights = torch.stack([_onnx_order(getattr(layer, f"weight_ih_l0{side}")) for side in sides])
    recurrences = torch.stack([_onnx_order(getattr(layer, f"weight_hh_l0{side}")) for side in sides])
    biases = torch.stack(
        [torch.cat([_onnx_order(getattr(layer, f"bias_{kind}_l0{side}")) for kind in ("ih", "hh")]) for side in sides]
    )
    hidden = recurrences.shape[2]
    batch, time = features.shape[0], features.shape[1]
    (outputs,) = torch.onnx.ops.symbolic_multi_out(
        "::LSTM",
        (features.transpose(0, 1), weights, recurrences, biases),
        {"direction": "bidirectional", "hidden_size": hidden},
        dtypes=(features.dtype,),
        shapes=((time, 2, batch, hidden),),
        version=_LSTM_OPSET,
    )
    # [time, directions, batch, hidden]
    return outputs.permute(2, 0, 1, 3).reshape(batch, time, 2 * hidden)


def _onnx_order(gates: Tensor) -> Tensor:
    """Rows of the gates (input, forget, cell, output) of PyTorch in ONNX's order (input, output, forget, cell)."""
    each = gates.reshape(4, -1, *gates.shape[1:])
    return torch.stack([each[0], each[3], each[1], each[2]]).reshape(gates.shape)
