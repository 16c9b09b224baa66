import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { decodeBase64 } from "../../static/js/assay/base64.js";
import { FormatError, MisuseError } from "../../static/js/assay/errors.js";
import { compareCodePoints } from "../../static/js/assay/manifest.js";
import {
  commitment,
  decodeTensors,
  encodeBytes,
  encodeTensors,
  tensorDigest,
} from "../../static/js/assay/tensors.js";
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
  ["a dimension beyond 2^40", [tensor({ shape: [0, 2 ** 40 + 1], data: new Uint8Array() })]],
  ["a name above the limit", [tensor({ name: "x".repeat(4_097) })]],
  ["text with a NUL", [tensor({ datatype: "BYTES", data: encodeBytes(["a\0"]) })]],
  ["text cut off", [tensor({ datatype: "BYTES", data: Uint8Array.of(2, 0, 0, 0, 65) })]],
  ["text with a rest", [tensor({ datatype: "BYTES", data: encodeBytes(["a", "b"]) })]],
  ["text in Latin-1", [tensor({ datatype: "BYTES", data: Uint8Array.of(1, 0, 0, 0, 0xe9) })]],
]) {
  test(`${what} has no digest`, () => {
    assert.throws(() => encodeTensors(tensors), FormatError);
  });
}

for (const { name, tensors, encoded } of made.tensors) {
  test(`the verifier's bytes are read back: ${name}`, () => {
    const data = decodeBase64(encoded);
    const read = decodeTensors(data);
    assert.deepEqual(
      read.map(({ name: title, datatype, shape }) => ({ name: title, datatype, shape })),
      tensors
        .map(({ name: title, datatype, shape }) => ({ name: title, datatype, shape }))
        .sort((left, right) => compareCodePoints(left.name, right.name)),
    );
    assert.deepEqual(encodeTensors(read), data);
  });
}

const HEAD = "assay-tensors-v1\n";
const spelled = (header, ...data) =>
  Uint8Array.from([...new TextEncoder().encode(`${HEAD}${header}\n`), ...data]);
const item = (name, shape) => `"datatype":"UINT8","name":"${name}","shape":${shape}}`;
const one = (type, shape, name = "x") =>
  `{"tensors":[{"datatype":"${type}","name":"${name}","shape":[${shape}]}]}`;

for (const [what, data] of [
  ["nothing", new Uint8Array()],
  ["another version", new TextEncoder().encode('assay-tensors-v2\n{"tensors":[]}\n')],
  ["a header without end", new TextEncoder().encode(`${HEAD}{"tensors":[]}`)],
  ["a header with spaces", spelled('{"tensors": []}')],
  ["a header that is a list", spelled("[]")],
  ["an unknown field", spelled('{"more":1,"tensors":[]}')],
  ["an unknown field of a tensor", spelled(`{"tensors":[{"a":1,${item("x", "[0]")}]}`)],
  ["a dimension with an exponent", spelled(one("UINT8", "1e+21"))],
  ["half a dimension", spelled(one("UINT8", "0.5"))],
  ["a shape of text", spelled(one("UINT8", '"1"'), 0)],
  ["a shape that is a number", spelled(`{"tensors":[{${item("x", "1")}]}`, 0)],
  ["a negative dimension", spelled(one("UINT8", "-1"))],
  ["a dimension beyond 2^40", spelled(one("UINT8", `0,${2 ** 40 + 1}`))],
  ["17 dimensions", spelled(one("UINT8", Array(17).fill(1)), 0)],
  ["no name", spelled(one("UINT8", "1", ""), 0)],
  ["a name of 4097 bytes", spelled(one("UINT8", "1", "x".repeat(4_097)), 0)],
  ["an unknown datatype", spelled(one("FP8", "1"), 0)],
  ["a byte too few", spelled(one("UINT16", "1"), 0)],
  ["a byte too many", spelled(one("UINT16", "1"), 0, 0, 0)],
  ["a BOOL of 2", spelled(one("BOOL", "1"), 2)],
  ["a NaN of its own", spelled(one("FP32", "1"), 1, 0, 0xc0, 0x7f)],
  ["a negative NaN", spelled(one("FP16", "1"), 0, 0xfe)],
  ["a signalling NaN", spelled(one("FP64", "1"), 1, 0, 0, 0, 0, 0, 0xf0, 0x7f)],
  ["a million texts and one", spelled(one("BYTES", "1000001"))],
  ["a text above a megabyte", spelled(one("BYTES", "1"), 1, 0, 0x10, 0)],
  ["a text cut off", spelled(one("BYTES", "1"), 2, 0, 0, 0, 65)],
  ["a length cut off", spelled(one("BYTES", "1"), 2, 0, 0)],
  ["more than two gigabytes", spelled(one("FP64", "1048576,1048576"))],
  ["another order", spelled(`{"tensors":[{${item("b", "[0]")},{${item("a", "[0]")}]}`)],
  ["a name twice", spelled(`{"tensors":[{${item("a", "[0]")},{${item("a", "[0]")}]}`)],
]) {
  test(`mallory's tensors with ${what} are refused`, () => {
    assert.throws(() => decodeTensors(data), FormatError);
  });
}

test("infinities and the quiet NaN of each type are kept", () => {
  const quiet = [
    ["FP16", [0, 0x7e, 0, 0x7c, 0, 0xfc]],
    ["BF16", [0xc0, 0x7f, 0x80, 0x7f, 0x80, 0xff]],
    ["FP32", [0, 0, 0xc0, 0x7f, 0, 0, 0x80, 0x7f, 0, 0, 0x80, 0xff]],
  ];
  for (const [type, data] of quiet) {
    assert.deepEqual([...decodeTensors(spelled(one(type, "3"), ...data))[0].data], data, type);
  }
});

test("alice's salt opens her commitment, and no other does", async () => {
  const salt = Uint8Array.from({ length: 32 }, (_, index) => index);
  const digest = await tensorDigest([tensor()]);
  const expected = createHash("sha256")
    .update("assay-commitment-v1\n")
    .update(salt)
    .update(Buffer.from(digest, "hex"))
    .digest("hex");
  assert.equal(await commitment(salt, digest), expected);
  await assert.rejects(commitment(salt.subarray(1), digest), MisuseError);
  await assert.rejects(commitment(salt, digest.toUpperCase()), FormatError);
});
