import assert from "node:assert/strict";
import { test } from "node:test";

import {
  asList,
  asObject,
  asSize,
  asText,
  canonicalText,
  isInteger,
  parseCanonicalJson,
  parseDecimal,
  parseJson,
} from "../../static/js/assay/canonical.js";
import {
  FormatError,
  MisuseError,
  MissingError,
  SplitViewError,
  UnavailableError,
  VerificationError,
  family,
} from "../../static/js/assay/errors.js";
import { SpelledFloat } from "../../static/js/assay/json.js";
import { bytes, json } from "./vectors.mjs";

const encoder = new TextEncoder();
const parse = (text, options) => parseJson(encoder.encode(text), options);
const nested = (depth) => "[".repeat(depth) + "]".repeat(depth);

test("every JSON document of the vectors reads as JSON.parse reads it", () => {
  for (const name of ["log/bundle.json", "log/vectors.json", "log/trusted_root.json"]) {
    assert.deepEqual(parseJson(bytes(name)), json(name), name);
  }
  for (const row of json("log/accepted.json").filter(({ check }) => check === "bundle.verify")) {
    const data = encoder.encode(row.artefact);
    assert.deepEqual(parseJson(data), JSON.parse(row.artefact), row.name);
  }
});

for (const text of [
  "null",
  " [ ] ",
  "\t\n\r{}",
  '{"":0,"a":[true,false,null],"b":{"c":"d"}}',
  '"\\u00e9\\ud83d\\ude00\\n\\t\\"\\\\\\/\\b\\f\\r"',
  '"\u{1f600}\u007f\u2028\ufeff"',
  "[0,-0.5,1.25e3,1E-2,0.1,5e-324,9007199254740991,-9007199254740991]",
  '{"10":1,"9":2,"constructor":3}',
  nested(64),
  `"${"[".repeat(100)}"`,
]) {
  test(`alice's ${text.slice(0, 40)} is strict JSON`, () => {
    assert.deepEqual(JSON.stringify(parse(text)), JSON.stringify(JSON.parse(text)));
  });
}

for (const [what, text] of [
  ["nothing", ""],
  ["white space", "  "],
  ["a no-break space around it", "\u00a01"],
  ["a name twice", '{"a":1,"a":1}'],
  ["a name twice, once escaped", '{"a":1,"\\u0061":2}'],
  ["a name twice, deep inside", '[{"b":{"a":1,"a":2}}]'],
  ["a byte order mark", "\ufeff1"],
  ["something after the value", "1 1"],
  ["a second value", "{}{}"],
  ["a comma too many in a list", "[1,]"],
  ["a comma too many in an object", '{"a":1,}'],
  ["a leading comma", "[,1]"],
  ["no comma", "[1 2]"],
  ["no colon", '{"a" 1}'],
  ["a name without quotes", "{a:1}"],
  ["single quotes", "['a']"],
  ["a comment", "[1/**/]"],
  ["NaN", "NaN"],
  ["an infinity", "-Infinity"],
  ["a number too large for a double", "1e400"],
  ["an integer beyond 2^53", "9007199254740992"],
  ["a negative integer beyond 2^53", "[-9007199254740992]"],
  ["an integer of many digits", "1".repeat(5_000)],
  ["a leading zero", "01"],
  ["a plus sign", "+1"],
  ["a bare point", "1."],
  ["a point first", ".5"],
  ["a bare exponent", "1e"],
  ["digits of another script", "\u0661"],
  ["a lone surrogate", '"\\ud800"'],
  ["surrogates in the wrong order", '"\\ude00\\ud83d"'],
  ["a lone surrogate in a name", '{"\\udc00":1}'],
  ["a raw newline in a string", '"a\nb"'],
  ["a raw NUL in a string", '"\u0000"'],
  ["an unknown escape", '"\\x41"'],
  ["a short escape", '"\\u12"'],
  ["an escape with a sign", '"\\u+123"'],
  ["a string without end", '"abc'],
  ["an object without end", '{"a":1'],
  ["an object without value", '{"a":'],
  ["a list without end", "[1"],
  ["the wrong bracket", "[1}"],
  ["a word in capitals", "True"],
  ["65 brackets", nested(65)],
  ["65 objects", '{"a":'.repeat(65) + "1" + "}".repeat(65)],
]) {
  test(`mallory's JSON with ${what} is refused`, () => {
    assert.throws(() => parse(text), FormatError);
  });
}

test("bytes that are no UTF-8 are refused", () => {
  const surrogate = [0xed, 0xa0, 0x80];
  const beyond = [0xf5, 0x80, 0x80, 0x80];
  for (const lie of [[0xff], [0xc0, 0xaf], surrogate, [0xe2, 0x82], beyond]) {
    assert.throws(() => parseJson(Uint8Array.from([0x22, ...lie, 0x22])), FormatError);
  }
});

test("a text longer than asked for is not read", () => {
  assert.equal(parse('"ab"', { maxBytes: 4 }), "ab");
  assert.throws(() => parse('"abc"', { maxBytes: 4, path: "keys" }), {
    message: "keys: longer than 4 bytes",
    path: "keys",
  });
});

test("a member called __proto__ is a member and nothing else", () => {
  const value = parse('{"__proto__":{"admin":true}}');
  assert.deepEqual(Object.keys(value), ["__proto__"]);
  assert.equal(value.admin, undefined);
  assert.throws(() => asObject(value, "", { required: [] }), FormatError);
  assert.throws(() => asObject(parse("{}"), "", { required: ["toString"] }), FormatError);
});

test("a whole number spelled as a fraction is no integer, and is written as one", () => {
  for (const text of ["1.0", "1e2", "-0.0", "10E-1"]) {
    const value = parse(text);
    assert.ok(value instanceof SpelledFloat, text);
    assert.ok(!isInteger(value), text);
    assert.throws(() => asSize(value, "index"), FormatError);
    assert.equal(canonicalText(value), JSON.stringify(Number(text)));
  }
  assert.ok(Object.is(parse("-0"), 0));
  assert.equal(parse("1.0") + 1, 2);
});

test("there is one canonical spelling, large exponents included", () => {
  for (const text of ['{"a":1,"b":[1e+21,1.5e+300,0.1]}', '"\u20ac"', "[]", "[-1e+21]"]) {
    assert.equal(canonicalText(parseCanonicalJson(encoder.encode(text))), text);
  }
  for (const text of ['{"b":1,"a":1}', "[ ]", "1.0", "1e21", "1e20", "-0", '"\\u20ac"', "1\n"]) {
    assert.throws(() => parseCanonicalJson(encoder.encode(text)), FormatError, text);
  }
});

test("a decimal has one spelling and ends below 2^63", () => {
  assert.equal(parseDecimal("0"), 0n);
  assert.equal(parseDecimal("9223372036854775807"), 2n ** 63n - 1n);
  const lies = ["", "00", "01", "+1", "-1", " 1", "1 ", "1\n", "1_0", "\u0663", "0x1", "1.0"];
  for (const lie of [...lies, 5, null, "9223372036854775808", "9".repeat(20)]) {
    assert.throws(() => parseDecimal(lie), FormatError, String(lie));
  }
});

test("a field of another kind is named", () => {
  const fields = { required: ["a"], optional: ["b"] };
  assert.deepEqual(asObject({ a: 1, b: 2 }, "x", fields), { a: 1, b: 2 });
  assert.throws(() => asObject({ b: 2 }, "x", fields), { message: "x: the field 'a' is missing" });
  assert.throws(() => asObject({ a: 1, c: 2 }, "x", fields), {
    message: "x: the field 'c' is unknown",
  });
  for (const lie of [null, [], "a", 1, undefined, new SpelledFloat(1)]) {
    assert.throws(() => asObject(lie, "x", fields), FormatError);
  }
  assert.throws(() => asList({}, "x"), { message: "x: is not an array" });
  assert.throws(() => asText(1, "x"), { message: "x: is not a string" });
  for (const lie of [-1, 0.5, 2 ** 53, true, "1", null]) {
    assert.throws(() => asSize(lie, "x"), FormatError);
  }
  assert.equal(asSize(2 ** 53 - 1, "x"), 2 ** 53 - 1);
});

test("each error is of one family, and a bug is of none", () => {
  const notes = { first: Uint8Array.of(1), second: Uint8Array.of(2) };
  for (const [error, word] of [
    [new FormatError("a", "b"), "malformed"],
    [new VerificationError("a"), "refused"],
    [new SplitViewError("a", notes), "split view"],
    [new MisuseError("a"), "usage"],
    [new UnavailableError("a"), "could not check"],
    [new MissingError("a"), "could not check"],
    [new TypeError("a"), null],
    [undefined, null],
  ]) {
    assert.equal(family(error), word);
  }
  assert.ok(new SplitViewError("a", notes) instanceof VerificationError);
  assert.equal(new SplitViewError("a", notes).second, notes.second);
});

test("a lie is told with both values, in the verifier's words", () => {
  const error = new VerificationError("another root", { expected: "aa", found: "bb" });
  assert.equal(error.message, "another root (expected aa, found bb)");
  assert.deepEqual([error.expected, error.found], ["aa", "bb"]);
  assert.equal(new VerificationError("alone").message, "alone");
});
