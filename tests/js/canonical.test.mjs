import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeBase64, decodeBase64Url, encodeBase64 } from "../../static/js/assay/base64.js";
import { canonicalJson, canonicalText } from "../../static/js/assay/canonical.js";
import { fromHex, parseHex, sha256Hex, toHex } from "../../static/js/assay/digests.js";
import { FormatError } from "../../static/js/assay/errors.js";
import { json, text, utf8 } from "./vectors.mjs";

const vectors = json("js/assay.json");

test("the browser writes the metadata with the verifier's bytes", () => {
  assert.equal(utf8(canonicalJson(vectors.metadata)), text(vectors.canonical_metadata));
});

test("names are sorted by UTF-16 unit, as RFC 8785 section 3.2.3 shows", () => {
  const value = {
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    1: "One",
    "\u{1f600}": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis",
  };
  const names = Object.keys(JSON.parse(canonicalText(value)));
  const expected = ["1", "\r", "\u0080", "\u00f6", "\u20ac", "\u{1f600}", "\ufb33"];
  assert.deepEqual(names, expected);
});

test("numbers are written as RFC 8785 section 3.2.2.3 says", () => {
  const value = [333333333.33333329, 4.5, 2e-3, 1e-27, -0, 9007199254740991];
  assert.equal(canonicalText(value), "[333333333.3333333,4.5,0.002,1e-27,0,9007199254740991]");
});

for (const [what, value] of [
  ["NaN", NaN],
  ["an infinity", [Infinity]],
  ["an integer beyond 2^53", { deep: [2 ** 53] }],
  ["a lone surrogate", "\ud800"],
  ["a lone surrogate in a name", { "\udc00": 1 }],
  ["undefined", { field: undefined }],
  ["a function", () => 1],
  ["a date", new Date(0)],
  ["a BigInt", 1n],
  ["a map", new Map()],
]) {
  test(`mallory gets no canonical form of ${what}`, () => {
    assert.throws(() => canonicalJson(value), FormatError);
  });
}

test("an error says where the value stands", () => {
  assert.throws(() => canonicalJson({ a: [{ b: NaN }] }), { path: "a[0].b" });
});

test("base64 goes both ways, in one spelling only", () => {
  const data = Uint8Array.from({ length: 70_001 }, (_, index) => index % 251);
  assert.deepEqual(decodeBase64(encodeBase64(data)), data);
  assert.equal(encodeBase64(data), Buffer.from(data).toString("base64"));
  for (const lie of ["QQ", "QQ=", "QR==", "Q Q=", "QQ==\n", "_-8=", "====", 7, null]) {
    assert.throws(() => decodeBase64(lie), FormatError, String(lie));
  }
});

test("base64url goes without padding", () => {
  assert.deepEqual(decodeBase64Url("_-8"), Uint8Array.of(0xff, 0xef));
  for (const lie of ["_-8=", "+/8", "A", "_-9"]) {
    assert.throws(() => decodeBase64Url(lie), FormatError, lie);
  }
});

test("a digest has one spelling", async () => {
  const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  assert.equal(await sha256Hex(new Uint8Array()), empty);
  assert.equal(toHex(parseHex(empty)), empty);
  for (const lie of [empty.toUpperCase(), empty.slice(2), `${empty} `, 5, undefined]) {
    assert.throws(() => parseHex(lie), FormatError);
  }
  assert.throws(() => fromHex("abc"), FormatError);
});
