import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { decodeBase64 } from "../../static/js/assay/base64.js";
import { canonicalJson } from "../../static/js/assay/canonical.js";
import { FormatError, VerificationError } from "../../static/js/assay/errors.js";
import {
  checkFolder,
  checkPath,
  compareCodePoints,
  manifestDigest,
  omsStatement,
  parseManifest,
  parseOms,
  resourcesFrom,
  subjectDigest,
} from "../../static/js/assay/manifest.js";
import { bytes, json, text, utf8 } from "./vectors.mjs";

const log = json("log/vectors.json");
const made = json("js/assay.json");
const DIGEST = "ab".repeat(32);

test("the model-signing digests of the log's vectors come out", async () => {
  const resources = resourcesFrom(Object.entries(log.oms.files));
  assert.equal(await subjectDigest(resources), log.oms.subject_digest);
  const signed = JSON.parse(text(json("log/oms.bundle.json").dsseEnvelope.payload));
  assert.deepEqual(resources, signed.predicate.resources);
  assert.deepEqual(JSON.parse(utf8(await omsStatement(resources, "resnet-tiny"))), signed);
});

test("the digests are those of the files in the vectors", () => {
  for (const [name, digest] of Object.entries(log.oms.files)) {
    const found = createHash("sha256").update(bytes(`log/resnet-tiny/${name}`)).digest("hex");
    assert.equal(found, digest, name);
  }
});

test("a subject digest does not cover the names, the manifest digest does", async () => {
  const digests = Object.values(log.oms.files);
  const renamed = log.oms.same_subject_digest_other_names.map((name, i) => [name, digests[i]]);
  const [original, other] = [Object.entries(log.oms.files), renamed].map(resourcesFrom);
  assert.equal(await subjectDigest(original), await subjectDigest(other));
  assert.notEqual(await manifestDigest(original), await manifestDigest(other));
});

test("the verifier makes the same manifest of the same folder", async () => {
  const resources = resourcesFrom(made.files.map(({ path, sha256 }) => [path, sha256]));
  assert.deepEqual(resources, made.resources);
  assert.equal(await manifestDigest(resources), made.manifest);
  assert.equal(await subjectDigest(resources), made.subject_digest);
  const payload = await omsStatement(resources, "resnet-tiny");
  assert.deepEqual(payload, decodeBase64(made.statements.oms.payload));
});

test("files are sorted by code point, not by UTF-16 unit", () => {
  const names = ["\u{1f600}", "\uff5e", "b", "a/b", "a", "a.b", "\ue000"];
  const sorted = [...names].sort(compareCodePoints);
  assert.deepEqual(sorted, ["a", "a.b", "a/b", "b", "\ue000", "\uff5e", "\u{1f600}"]);
  assert.equal(compareCodePoints("\u{1f600}a", "\u{1f600}a"), 0);
});

test("five names are ignored at top level and nowhere else", () => {
  const pairs = [".git/config", ".gitattributes", ".github/x", ".gitignore", "model.sig", "a"];
  const kept = resourcesFrom([...pairs, "sub/model.sig"].map((name) => [name, DIGEST]));
  assert.deepEqual(
    kept.map(({ name }) => name),
    ["a", "sub/model.sig"],
  );
});

for (const lie of ["", "/a", "a/", "a//b", "./a", "a/../b", "a\\b", "a\nb", "a\u0085", "\ud800"]) {
  test(`mallory may not call a file ${JSON.stringify(lie)}`, () => {
    assert.throws(() => checkPath(lie), FormatError);
  });
}

test("a path is bounded in bytes, in depth and in each segment", () => {
  checkPath("\u00e9".repeat(127));
  assert.throws(() => checkPath("\u00e9".repeat(128)), FormatError);
  assert.throws(() => checkPath("a/".repeat(32) + "a"), FormatError);
  assert.throws(() => checkPath(`${"x".repeat(200)}/`.repeat(6) + "x"), FormatError);
});

test("a manifest that means two things is refused", () => {
  for (const names of [[], [".gitignore"], ["a", "a"], ["a", "a/b"]]) {
    assert.throws(() => resourcesFrom(names.map((name) => [name, DIGEST])), FormatError);
  }
  assert.throws(() => resourcesFrom([["a", DIGEST.toUpperCase()]]), FormatError);
});

test("a list that the server sent in another order is not signed", async () => {
  const [first, second] = made.resources;
  await assert.rejects(omsStatement([second, first], "m"), FormatError);
});

test("a manifest is read back from the bytes that its digest names", async () => {
  const data = canonicalJson(made.resources);
  const resources = parseManifest(data);
  assert.deepEqual(resources, made.resources);
  assert.equal(await manifestDigest(resources), made.manifest);
});

const [first, ...others] = made.resources;
for (const [what, value] of [
  ["no file", []],
  ["an object", { resources: made.resources }],
  ["another order", [...others, first]],
  ["a file twice", [first, first]],
  ["another algorithm", [{ ...first, algorithm: "sha512" }]],
  ["a field too many", [{ ...first, size: 1 }]],
  ["a field too few", [{ name: "a", algorithm: "sha256" }]],
  ["a digest in capitals", [{ ...first, digest: DIGEST.toUpperCase() }]],
  ["a name that is a number", [{ ...first, name: 1 }]],
  ["a path upwards", [{ ...first, name: "../a" }]],
  ["a file that is null", [null]],
]) {
  test(`mallory's manifest with ${what} is refused`, () => {
    assert.throws(() => parseManifest(canonicalJson(value)), FormatError);
  });
}

test("a manifest has one spelling", () => {
  const text = JSON.stringify(made.resources, null, 1);
  assert.throws(() => parseManifest(new TextEncoder().encode(text)), FormatError);
  const many = Array.from({ length: 10_001 }, (_, n) => `f${String(n).padStart(5, "0")}`);
  const resources = many.map((name) => ({ algorithm: "sha256", digest: DIGEST, name }));
  assert.throws(() => parseManifest(canonicalJson(resources)), FormatError);
  assert.equal(parseManifest(canonicalJson(resources.slice(1))).length, 10_000);
});

const oms = JSON.parse(text(json("log/oms.bundle.json").dsseEnvelope.payload));
const digests = oms.subject.map(({ digest }) => digest.sha256);
const signed = (change) => ({ predicate: { ...oms.predicate, ...change }, digests });
const serialized = (change) =>
  signed({ serialization: { ...oms.predicate.serialization, ...change } });

test("the manifest that stock tools signed is read", async () => {
  const resources = await parseOms(signed());
  assert.deepEqual(resources, resourcesFrom(Object.entries(log.oms.files)));
  const more = { ...oms.predicate.resources[0], size: 5 };
  const rest = oms.predicate.resources.slice(1);
  assert.deepEqual(await parseOms(signed({ resources: [more, ...rest] })), resources);
  assert.deepEqual(await parseOms(serialized({ ignore_paths: ["a/b"] })), resources);
});

for (const [what, statement, family] of [
  ["no serialization", { predicate: { resources: [] }, digests }, FormatError],
  ["a field too many", signed({ more: 1 }), FormatError],
  ["an unknown method", serialized({ method: "rows" }), FormatError],
  ["an unknown hash", serialized({ hash_type: "md5" }), FormatError],
  ["links that are maybe allowed", serialized({ allow_symlinks: null }), FormatError],
  ["files in shards of a size", serialized({ shard_size: 5 }), FormatError],
  ["a pattern to ignore", serialized({ ignore_paths: ["*.bin"] }), FormatError],
  ["a path upwards to ignore", serialized({ ignore_paths: ["../a"] }), FormatError],
  ["ignored paths that are no list", serialized({ ignore_paths: null }), FormatError],
  ["no subject", { ...signed(), digests: [] }, FormatError],
  ["two subjects", { ...signed(), digests: [...digests, ...digests] }, FormatError],
  ["no file", signed({ resources: [] }), FormatError],
  ["shards", serialized({ method: "shards", shard_size: 5 }), VerificationError],
  ["another hash", serialized({ hash_type: "blake3" }), VerificationError],
  ["symbolic links", serialized({ allow_symlinks: true }), VerificationError],
  ["a single file", signed({ resources: [{ ...first, name: "." }] }), VerificationError],
  ["a file left out", signed({ resources: oms.predicate.resources.slice(1) }), VerificationError],
  ["a subject without digest", { ...signed(), digests: [""] }, VerificationError],
]) {
  test(`mallory's model signature with ${what} is refused`, async () => {
    await assert.rejects(parseOms(statement), family);
  });
}

test("a folder holds the signed files and no other", () => {
  const [one, two, three] = made.resources;
  checkFolder([one, two], [one, two]);
  for (const [found, words] of [
    [[one], /is missing/],
    [[one, { ...two, digest: DIGEST }], /not the signed one \(expected [0-9a-f]{64}, found abab/],
    [[one, two, three], /is not listed/],
  ]) {
    const lie = { name: "VerificationError", message: words };
    assert.throws(() => checkFolder([one, two], found), lie);
  }
});
