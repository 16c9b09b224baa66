import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeBase64 } from "../../static/js/assay/base64.js";
import { paeSha256 } from "../../static/js/assay/dsse.js";
import { FormatError } from "../../static/js/assay/errors.js";
import {
  aliasStatement,
  cardStatement,
  keyStatement,
  releaseStatement,
} from "../../static/js/assay/statements.js";
import { json, text, utf8 } from "./vectors.mjs";

const made = json("js/assay.json");
const { observed, model, revision, manifest, metadata, files } = made;
const card = files.find(({ path }) => path === "README.md").sha256;
const release = {
  ...{ observed, model, revision, version: "1.2.0", manifest, card },
  ...{ license: "apache-2.0", previous: null },
};

async function same(payload, expected) {
  assert.equal(utf8(payload), text(expected.payload));
  assert.equal(await paeSha256(payload), expected.pae_sha256);
}

test("alice signs the release that the verifier would write", async () => {
  await same(releaseStatement(release, files), made.statements.release);
  const next = { ...release, previous: "ab".repeat(20) };
  await same(releaseStatement(next, [...files].reverse()), made.statements.release_next);
});

test("alice signs the card that the verifier would write", async () => {
  const fields = { observed, model, revision, manifest, metadata };
  await same(cardStatement(fields, card), made.statements.card);
});

const alias = { observed, model, alias: "production", revision, previous: null };

test("alice moves the alias with the statement that the verifier would write", async () => {
  await same(aliasStatement(alias, manifest), made.statements.alias);
  const next = { ...alias, previous: "ab".repeat(20), version: "1.2.0" };
  await same(aliasStatement(next, manifest), made.statements.alias_next);
});

for (const [what, change] of [
  ["an alias without a name", { alias: "" }],
  ["an alias to nothing", { revision: null }],
  ["an alias from nowhere known", { previous: undefined }],
  ["an alias of no model", { model: "resnet" }],
  ["an alias without a checkpoint", { observed: null }],
]) {
  test(`alice's browser refuses to sign ${what}`, () => {
    assert.throws(() => aliasStatement({ ...alias, ...change }, manifest), FormatError);
  });
}

test("an alias whose manifest is no digest is not signed", () => {
  assert.throws(() => aliasStatement(alias, "00"), FormatError);
});

test("alice registers the key with the statement that the verifier would write", async () => {
  const payload = await keyStatement({ observed, owner: "alice" }, decodeBase64(made.spki));
  await same(payload, made.statements.key);
});

test("alice revokes the key with the statement that the verifier would write", async () => {
  const fields = { observed, owner: "alice", action: "revoke" };
  await same(await keyStatement(fields, decodeBase64(made.spki)), made.statements.key_revoked);
});

test("what the server adds to a reply never gets into a statement", async () => {
  const fields = { ...release, observed: { ...observed, extra: 1 }, role: "registry" };
  await same(releaseStatement(fields, files), made.statements.release);
});

for (const [what, change] of [
  ["a model without owner", { model: "resnet" }],
  ["a model of another spelling", { model: "alice/re--snet" }],
  ["a short revision", { revision: "abc" }],
  ["an empty version", { version: "" }],
  ["no licence", { license: null }],
  ["a manifest in capitals", { manifest: manifest.toUpperCase() }],
  ["an empty previous", { previous: "" }],
  ["no previous", { previous: undefined }],
  ["no checkpoint", { observed: null }],
  ["a negative tree", { observed: { ...observed, treeSize: -1 } }],
  ["a tree size as text", { observed: { ...observed, treeSize: "200" } }],
  ["a root that is no digest", { observed: { ...observed, rootHash: "00" } }],
]) {
  test(`alice's browser refuses to sign ${what}`, () => {
    assert.throws(() => releaseStatement({ ...release, ...change }, files), FormatError);
  });
}

test("a statement about nothing, or about a bad path, is not signed", () => {
  assert.throws(() => releaseStatement(release, []), FormatError);
  assert.throws(() => releaseStatement(release, [{ path: "../x", sha256: card }]), FormatError);
  assert.throws(() => releaseStatement(release, [{ path: "x", sha256: "00" }]), FormatError);
});

test("metadata that is no object is not signed", () => {
  for (const lie of [null, [], "text"]) {
    const fields = { observed, model, revision, manifest, metadata: lie };
    assert.throws(() => cardStatement(fields, card), FormatError);
  }
});
