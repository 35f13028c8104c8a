"""Writes the golden samples beside this file with the libraries that make such events in production.

Not run by the tests: each producer's library wants an environment of its own.

    pip install mlserver==1.7.1        && python make_samples.py mlserver
    pip install kserve==0.21.0         && python make_samples.py kserve
    pip install "cloudevents==1.13.0"  && python make_samples.py cloudevents

A sample is a record (key, headers, base64 of the value) with the numbers that its producer was given.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
X = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
P = np.array([[0.25, 0.75], [0.5, 0.5]])
MODEL, REQUEST_ID = "churn", "6f1c"


def write(name: str, value: bytes, headers: dict[str, Any] | None = None, key: Any = None) -> None:
    """Write one sample."""
    texts = {k: v.decode() if isinstance(v, bytes) else v for k, v in (headers or {}).items()}
    sample = {
        "key": key.decode() if isinstance(key, bytes) else key,
        "headers": texts,
        "value": base64.b64encode(value).decode(),
        "instances": X.tolist(),
        "predictions": P.tolist(),
    }
    (HERE / f"{name}.json").write_text(json.dumps(sample, indent=1) + "\n", encoding="utf-8")


def pair(request: bytes, response: bytes) -> bytes:
    """Put a request and its response into one event, as a transformer or an interceptor does."""
    return b'{"request":' + request + b',"response":' + response + b"}"


def mlserver() -> None:
    """Write requests of every datatype, as MLServer's Kafka server reads and answers them."""
    from mlserver.codecs import NumpyCodec
    from mlserver.kafka.message import KafkaMessage
    from mlserver.types import InferenceRequest, InferenceResponse

    response = InferenceResponse(
        model_name=MODEL, id=REQUEST_ID, outputs=[NumpyCodec.encode_output("predict", P.astype("float32"))]
    )
    answered = KafkaMessage.from_types(REQUEST_ID, response, {})
    for dtype in (
        "bool",
        *(f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)),
        "float16",
        "float32",
        "float64",
    ):
        tensor = NumpyCodec.encode_input("x", X.astype(dtype))
        request = InferenceRequest(id=REQUEST_ID, inputs=[tensor])
        asked = KafkaMessage.from_types(REQUEST_ID, request, {"mlserver-model": MODEL})
        write(
            f"mlserver_{dtype}", pair(asked.encoded_value, answered.encoded_value), asked.headers, asked.key
        )
    write("mlserver_request", asked.encoded_value, asked.headers, asked.key)
    write("mlserver_response", answered.encoded_value, answered.headers, answered.key)


def kserve() -> None:
    """Write requests and responses with their tensors in JSON, and one after the JSON in binary."""
    from kserve.protocol.infer_type import InferInput, InferOutput, InferRequest, InferResponse

    for form in ("json", "binary"):
        given = InferInput("x", list(X.shape), "FP32")
        given.set_data_from_numpy(X.astype("float32"), binary_data=form == "binary")
        answer = InferOutput("predict", list(P.shape), "FP64")
        answer.set_data_from_numpy(P, binary_data=form == "binary")
        request, length = InferRequest(MODEL, [given], REQUEST_ID).to_rest()
        made = InferResponse(REQUEST_ID, MODEL, [answer], use_binary_outputs=form == "binary")
        response, response_length = made.to_rest()
        if form == "json":
            value = pair(json.dumps(request).encode(), json.dumps(response).encode())
            write("kserve_json", value)
        else:
            header = pair(request[:length], response[:response_length])
            value = header + request[length:] + response[response_length:]
            write("kserve_binary", value, {"Inference-Header-Content-Length": str(len(header))})


def cloudevents() -> None:
    """Write events in binary and structured mode, and a logger's request and response."""
    from cloudevents.http import CloudEvent
    from cloudevents.kafka import to_binary, to_structured

    attributes = {
        "id": REQUEST_ID,
        "source": "/services/churn",
        "type": "com.example.prediction",
        "time": "2026-11-20T12:00:00+00:00",
        "datacontenttype": "application/json",
        "partitionkey": "eu",
    }
    data = {"instance": X[0].tolist(), "prediction": P[0].tolist()}
    for form, convert in (("binary", to_binary), ("structured", to_structured)):
        message = convert(CloudEvent(attributes, data))
        value = message.value if isinstance(message.value, bytes) else message.value.encode()
        write(f"cloudevents_{form}", value, message.headers, message.key)
    request = {"inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP32", "data": X.ravel().tolist()}]}
    response = {
        "model_name": MODEL,
        "id": REQUEST_ID,
        "outputs": [{"name": "predict", "shape": [2, 2], "datatype": "FP32", "data": P.ravel().tolist()}],
    }
    for half, body in (("request", request), ("response", response)):
        # The attributes that KServe's agent sets on what it logs.
        logged = {
            "id": REQUEST_ID,
            "source": "http://localhost:9081/",
            "type": f"org.kubeflow.serving.inference.{half}",
            "time": "2026-11-20T12:00:00+00:00",
            "datacontenttype": "application/json",
            "inferenceservicename": MODEL,
            "namespace": "default",
            "endpoint": "",
            "component": "predictor",
        }
        message = to_binary(CloudEvent(logged, body))
        write(f"kserve_logger_{half}", message.value, message.headers, message.key)
        message = to_structured(CloudEvent(logged, body))
        write(f"kserve_logger_{half}_structured", message.value, message.headers, message.key)


if __name__ == "__main__":
    {"mlserver": mlserver, "kserve": kserve, "cloudevents": cloudevents}[sys.argv[1]]()
