import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { decodeBase64 } from "../../static/js/assay/base64.js";
import { FormatError } from "../../static/js/assay/errors.js";
import {
  checkPath,
  compareCodePoints,
  manifestDigest,
  omsStatement,
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
