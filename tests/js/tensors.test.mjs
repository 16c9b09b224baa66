import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeBase64 } from "../../static/js/assay/base64.js";
import { FormatError } from "../../static/js/assay/errors.js";
import { encodeBytes, encodeTensors, tensorDigest } from "../../static/js/assay/tensors.js";
import { json } from "./vectors.mjs";

const made = json("js/assay.json");

function tensor(change = {}) {
  return { name: "x", datatype: "FP32", shape: [1], data: new Uint8Array(4), ...change };
}

for (const { name, tensors, encoded, digest } of made.tensors) {
  test(`the verifier's bytes come out: ${name}`, async () => {
    const given = tensors.map((item) => ({ ...item, data: decodeBase64(item.data) })).reverse();
    assert.deepEqual(encodeTensors(given), decodeBase64(encoded));
    assert.equal(await tensorDigest(given), digest);
  });
}

test("a NaN is made canonical in a copy, never in the caller's bytes", () => {
  const data = Uint8Array.of(1, 0, 0xc0, 0x7f);
  encodeTensors([tensor({ data })]);
  assert.deepEqual(data, Uint8Array.of(1, 0, 0xc0, 0x7f));
});

test("a view into a larger buffer is encoded like its own bytes", async () => {
  const larger = Uint8Array.of(9, 9, 9, 1, 0, 0xc0, 0x7f, 9);
  const view = tensor({ data: larger.subarray(3, 7) });
  const copy = tensor({ data: larger.slice(3, 7) });
  assert.equal(await tensorDigest([view]), await tensorDigest([copy]));
  const text = encodeBytes(["a", "b"]);
  const shifted = new Uint8Array(text.length + 1);
  shifted.set(text, 1);
  const bytes = { datatype: "BYTES", shape: [2] };
  assert.equal(
    await tensorDigest([tensor({ ...bytes, data: shifted.subarray(1) })]),
    await tensorDigest([tensor({ ...bytes, data: text })]),
  );
});

for (const [what, tensors] of [
  ["a name twice", [tensor(), tensor()]],
  ["no name", [tensor({ name: "" })]],
  ["a datatype that is none", [tensor({ datatype: "FP8" })]],
  ["a datatype of every object", [tensor({ datatype: "toString" })]],
  ["a byte too few", [tensor({ data: new Uint8Array(3) })]],
  ["a negative dimension", [tensor({ shape: [-1] })]],
  ["half a dimension", [tensor({ shape: [0.5] })]],
  ["a BOOL of 2", [tensor({ datatype: "BOOL", data: Uint8Array.of(2) })]],
  ["more than two gigabytes", [tensor({ shape: [2 ** 29] })]],
  ["text with a NUL", [tensor({ datatype: "BYTES", data: encodeBytes(["a\0"]) })]],
  ["text cut off", [tensor({ datatype: "BYTES", data: Uint8Array.of(2, 0, 0, 0, 65) })]],
  ["text with a rest", [tensor({ datatype: "BYTES", data: encodeBytes(["a", "b"]) })]],
  ["text in Latin-1", [tensor({ datatype: "BYTES", data: Uint8Array.of(1, 0, 0, 0, 0xe9) })]],
]) {
  test(`${what} has no digest`, () => {
    assert.throws(() => encodeTensors(tensors), FormatError);
  });
}
