"""KServe's own client, asked over a pipe: one JSON object a line in, one a line out.

It runs in an environment of its own, where nothing of the product is installed. A call names what
to `ask` and its fields; the answer has `value`, or the text of the `error` that the client raised,
or what it decoded. Tensors travel as hex of their little-endian bytes, texts as strings.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import (  # type: ignore[import-not-found]  # not in the product's environment
    InferenceRESTClient,
    InferInput,
    InferRequest,
    RESTConfig,
)
from kserve.protocol.infer_type import (  # type: ignore[import-not-found]  # not in the product's environment
    RequestedOutput,
)
from kserve.utils.numpy_codec import (  # type: ignore[import-not-found]  # not in the product's environment
    to_np_dtype,
)


def to_input(item: dict[str, Any]) -> Any:
    """Return the client's input object."""
    if item["datatype"] == "BYTES":
        value = np.array([text.encode() for text in item["texts"]], dtype=np.object_)
    else:
        value = np.frombuffer(bytes.fromhex(item["hex"]), dtype=to_np_dtype(item["datatype"]))
    made = InferInput(item["name"], item["shape"], item["datatype"])
    made.set_data_from_numpy(value.reshape(item["shape"]), binary_data=item.get("binary", True))
    return made


def told(output: Any) -> dict[str, Any]:
    """Return what the client decoded of an output."""
    value = output.as_numpy()
    said = {"name": output.name, "datatype": output.datatype, "shape": list(value.shape)}
    if output.datatype != "BYTES":
        return {**said, "hex": value.tobytes().hex()}
    texts = [item.decode() if isinstance(item, bytes) else item for item in value.ravel()]
    return {**said, "texts": texts}


async def answer(client: Any, address: str, call: dict[str, Any]) -> dict[str, Any]:
    """Do one call."""
    headers = call.get("headers")
    match call["ask"]:
        case "live":
            return {"value": await client.is_server_live(address, headers=headers)}
        case "ready":
            return {"value": await client.is_server_ready(address, headers=headers)}
        case "model_ready":
            return {"value": await client.is_model_ready(address, call["model"], headers=headers)}
    outputs = [RequestedOutput(**item) for item in call.get("outputs", ())]
    request = InferRequest(
        model_name=call["model"],
        infer_inputs=[to_input(item) for item in call["inputs"]],
        request_id=call.get("id"),
        parameters=call.get("parameters"),
        request_outputs=outputs or None,
    )
    response = await client.infer(address, request, call["model"], headers=headers)
    return {
        "model_name": response.model_name,
        "id": response.id,
        "parameters": response.parameters,
        "outputs": [told(item) for item in response.outputs],
    }


async def main(address: str) -> None:
    """Answer calls until the input ends."""
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        for line in sys.stdin:
            try:
                found = await answer(client, address, json.loads(line))
            except Exception as error:  # noqa: BLE001 (whatever it is: the test compares its text)
                found = {"error": f"{type(error).__name__}: {error}"}
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
