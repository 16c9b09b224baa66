import assert from "node:assert/strict";
import { test } from "node:test";

import { FormatError } from "../../static/js/assay/errors.js";
import { tensorFromJson } from "../../static/js/assay/oip.js";
import { tensorDigest } from "../../static/js/assay/tensors.js";
import { checkAnswer, readStatement } from "../../static/js/receipt-check.js";

const inputs = [{ name: "x", datatype: "FP32", shape: [1, 2], data: [[0.1, -2]] }];
const outputs = [{ name: "y", datatype: "INT64", shape: [1], data: [7] }];

function compact(statement) {
  return `${Buffer.from(JSON.stringify(statement)).toString("base64url")}.AAAA`;
}

async function answer(change = {}) {
  const input = { digest: { sha256: await tensorDigest(inputs.map(tensorFromJson)) } };
  const output = { digest: { sha256: await tensorDigest(outputs.map(tensorFromJson)) } };
  const subject = [{ name: "output.tensors", digest: output.digest }];
  const statement = { subject, predicate: { input, output, ...change } };
  return { outputs, parameters: { receipt: compact(statement) } };
}

test("an honest answer names what was sent and what came back", async () => {
  assert.equal((await checkAnswer({ inputs }, await answer())).state, "checked");
});

test("an executor that ran another input is caught, with both digests", async () => {
  const other = { digest: { sha256: "ab".repeat(32) } };
  const check = await checkAnswer({ inputs }, await answer({ input: other }));
  assert.equal(check.state, "failed");
  assert.match(check.words, /names abab.* input that was sent hashes to [0-9a-f]{64}/);
});

test("a web server that changed the output is caught", async () => {
  const changed = await answer();
  changed.outputs = [{ ...outputs[0], data: [8] }];
  const check = await checkAnswer({ inputs }, changed);
  assert.equal(check.state, "failed");
  assert.match(check.words, /output shown here/);
});

test("what cannot be compared is not called checked", async () => {
  const hidden = await answer({ input: { commitment: { sha256: "ab".repeat(32) } } });
  assert.equal((await checkAnswer({ inputs }, hidden)).state, "unknown");
  assert.equal((await checkAnswer({ inputs }, { outputs })).state, "unknown");
  const short = { outputs, parameters: { receipt: "a" } };
  assert.equal((await checkAnswer({ inputs }, short)).state, "unknown");
  const binary = { ...(await answer()), outputs: [{ ...outputs[0], data: undefined }] };
  assert.equal((await checkAnswer({ inputs }, binary)).state, "unknown");
});

test("a receipt that is no receipt is refused", () => {
  for (const lie of [undefined, "", "a.b.c", "+.a", 5]) {
    assert.throws(() => readStatement(lie), FormatError, String(lie));
  }
});

for (const [datatype, data, hex] of [
  ["BOOL", [true, false], "0100"],
  ["INT8", [-1, 127], "ff7f"],
  ["UINT8", [255], "ff"],
  ["INT16", [-2], "feff"],
  ["UINT16", [258], "0201"],
  ["INT32", [-1], "ffffffff"],
  ["UINT32", [4294967295], "ffffffff"],
  ["INT64", [-2], "feffffffffffffff"],
  ["UINT64", [1], "0100000000000000"],
  ["INT64", ["9007199254740993"], "0100000000002000"],
  ["UINT64", ["18446744073709551615"], "ffffffffffffffff"],
  ["FP64", ["9007199254740993"], "0000000000004043"],
  ["FP32", [0.1], "cdcccc3d"],
  ["FP32", [-0], "00000080"],
  ["FP64", [0.1], "9a9999999999b93f"],
  ["BYTES", ["\u00e9"], "02000000c3a9"],
]) {
  test(`${datatype} in JSON has the bytes of the protocol`, () => {
    const tensor = tensorFromJson({ name: "x", datatype, shape: [data.length], data });
    assert.equal(Buffer.from(tensor.data).toString("hex"), hex);
  });
}

for (const [what, change] of [
  ["no data", { data: undefined }],
  ["too few elements", { data: [1] }],
  ["a text among numbers", { data: [1, "2"] }],
  ["null", { data: [1, null] }],
  ["half an integer", { datatype: "INT32", data: [1, 0.5] }],
  ["an integer that was rounded", { datatype: "INT64", data: [1, 2 ** 53] }],
  ["a number for a flag", { datatype: "BOOL", data: [1, 0] }],
  ["FP16", { datatype: "FP16", data: [1, 2] }],
  ["256 as UINT8", { datatype: "UINT8", data: [1, 256] }],
  ["-1 as UINT16", { datatype: "UINT16", data: [1, -1] }],
  ["128 as INT8", { datatype: "INT8", data: [1, 128] }],
  ["2^31 as INT32", { datatype: "INT32", data: [1, 2 ** 31] }],
  ["-1 as UINT64", { datatype: "UINT64", data: [1, -1] }],
  ["2^63 as INT64", { datatype: "INT64", data: [1, "9223372036854775808"] }],
  ["1e39 as FP32", { data: [1, 1e39] }],
  ["no shape", { shape: undefined }],
  ["an unknown datatype", { datatype: "FP8", data: [1, 2] }],
]) {
  test(`${what} has no bytes`, () => {
    const tensor = { name: "x", datatype: "FP32", shape: [2], data: [1, 2], ...change };
    assert.throws(() => tensorFromJson(tensor), FormatError);
  });
}
