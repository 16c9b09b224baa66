"""The jailed child that reads an ONNX file for a trace: one request, one answer, then the end.

`python -m inference.executor.trace_child`. It reads strangers' files, so it runs where inspections
do: no network, no file, little memory and time. Requests, by `step`:

    nodes   the graph; answers its nodes as JSON, and for `node` which values it reads
    node    graph and external data; answers the model of that node alone, and its bound
"""

from __future__ import annotations

import socket
from typing import Any

from assay.canonical import canonical_json
from assay.capsule import node_bound, one_node, wanted
from assay.errors import FormatError
from assay.tensors import Tensor
from assay.trace import parse_model
from inference.executor import jail
from inference.executor.protocol import MAX_BLOB_BYTES, Frame, Stream, send


def answer(request: Frame) -> Frame:
    """Return the answer to one request; what is wrong with the file is an answer too."""
    try:
        return {"nodes": _nodes, "node": _node}[request.header["step"]](request)
    except FormatError as error:
        return Frame(header={"error": "graph", "message": str(error)})
    except MemoryError:
        return Frame(header={"error": "memory", "message": "the graph needs too much memory"})


def _nodes(request: Frame) -> Frame:
    model = parse_model(request.tail)
    model.refuse_random()
    index = request.header["node"]
    known = request.header["given"]
    nodes = [
        {
            "index": node.index,
            "name": node.name,
            "op_type": node.op_type,
            "domain": node.domain,
            "inputs": list(node.inputs),
            "outputs": list(node.outputs),
        }
        for node in model.reaching()
    ]
    told = {
        "nodes": nodes,
        "outputs": list(model.outputs),
        "wanted": [] if index is None else wanted(model, index, known),
    }
    return Frame(header={"ok": True}, tail=canonical_json(told))


def _node(request: Frame) -> Frame:
    header = request.header
    size, external, offset = header["graph_size"], {}, header["graph_size"]
    for item in header["external"]:
        external[item["path"]] = request.tail[offset : offset + item["size"]]
        offset += item["size"]
    model = parse_model(request.tail[:size])
    inputs, outputs = _shapes(header["inputs"]), _shapes(header["outputs"])
    alone = one_node(model, header["node"], inputs, outputs, external)
    bound = node_bound(model, header["node"], inputs, outputs)
    told = {"ulps": bound.ulps, "floor": bound.floor, "k": bound.k}
    return Frame(header={"ok": True, "bound": told}, tail=alone)


def _shapes(items: list[dict[str, Any]]) -> list[Tensor]:
    """Return tensors without their data: a model tells only datatypes and shapes."""
    return [
        Tensor(name=item["name"], datatype=item["datatype"], shape=tuple(item["shape"]), data=b"")
        for item in items
    ]


def main() -> None:
    """Answer one request on descriptor 0."""
    jail.landlock([])
    connection = socket.socket(fileno=0)
    send(connection, answer(Stream(connection).frame(MAX_BLOB_BYTES)))


if __name__ == "__main__":
    main()
