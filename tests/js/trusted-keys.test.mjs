import assert from "node:assert/strict";
import { test } from "node:test";

import { publicKeyPem } from "../../static/js/assay/dsse.js";
import { fromHex } from "../../static/js/assay/digests.js";
import { FormatError, VerificationError } from "../../static/js/assay/errors.js";
import { TrustedKey, parseKeys } from "../../static/js/assay/keys.js";
import { json } from "./vectors.mjs";

const { keys } = json("log/vectors.json");
const encode = (value) => new TextEncoder().encode(JSON.stringify(value));
const RELEASE = "urn:assay:release:v1";

function row({ spki, fingerprint }, change = {}) {
  const publicKey = publicKeyPem(fromHex(spki));
  return { fingerprint, role: "publisher", owner: "alice", publicKey, index: 5, ...change };
}

const alice = (change) => row(keys.signer, change);
const mallory = (change) => row(keys.mallory, { owner: "mallory", ...change });
const CRLF = alice().publicKey.replaceAll("\n", "\r\n");
const CAPITALS = keys.signer.fingerprint.toUpperCase();
const parse = (...rows) => parseKeys(encode({ keys: rows }));

test("alice's key is found by either hint, and by no other", async () => {
  const revoked = alice({ index: null, revoked: 9, log: "ledger.example.org" });
  const ring = await parse(mallory(), revoked);
  for (const hint of [keys.signer.hint_claim, keys.signer.hint_oms]) {
    const found = await ring.find(hint);
    assert.equal(found.key.fingerprint, keys.signer.fingerprint);
    assert.deepEqual([found.owner, found.index, found.revoked], ["alice", null, 9n]);
    assert.deepEqual([found.log, found.revokedLog], ["ledger.example.org", ""]);
  }
  for (const hint of ["", "x", keys.signer.hint_claim.slice(1)]) {
    await assert.rejects(ring.find(hint), VerificationError);
  }
  assert.ok(Object.isFrozen(ring) && Object.isFrozen(ring.keys) && Object.isFrozen(ring.keys[0]));
});

test("a reader may trust nobody", async () => {
  assert.deepEqual((await parse()).keys, []);
});

for (const [what, document] of [
  ["a list", [alice()]],
  ["an unknown field", { keys: [], more: 1 }],
  ["an object of keys", { keys: {} }],
  ["a key twice", { keys: [alice({ revoked: 6 }), alice()] }],
  ["a key that is null", { keys: [null] }],
  ["another's fingerprint", { keys: [alice({ fingerprint: keys.mallory.fingerprint })] }],
  ["a fingerprint in capitals", { keys: [alice({ fingerprint: CAPITALS })] }],
  ["an unknown role", { keys: [alice({ role: "god" })] }],
  ["no role", { keys: [alice({ role: undefined })] }],
  ["an owner that is no text", { keys: [alice({ owner: 1 })] }],
  ["an index as text", { keys: [alice({ index: "5" })] }],
  ["a negative index", { keys: [alice({ index: -1 })] }],
  ["half an index", { keys: [alice({ index: 0.5 })] }],
  ["an index that is true", { keys: [alice({ revoked: true })] }],
  ["a log with a scheme", { keys: [alice({ log: "https://ledger.example.org" })] }],
  ["a log that is null", { keys: [alice({ revokedLog: null })] }],
  ["no key", { keys: [alice({ publicKey: "" })] }],
  ["a private key", { keys: [alice({ publicKey: "-----BEGIN PRIVATE KEY-----\n" })] }],
  ["PEM with a line too many", { keys: [alice({ publicKey: `${alice().publicKey}\n` })] }],
  ["PEM of another system", { keys: [alice({ publicKey: CRLF })] }],
  ["an unknown field of a key", { keys: [alice({ expires: 1 })] }],
]) {
  test(`mallory's list with ${what} is refused`, async () => {
    await assert.rejects(parseKeys(encode(document)), FormatError);
  });
}

test("an index spelled as a fraction is refused", async () => {
  const text = JSON.stringify({ keys: [alice()] }).replace('"index":5', '"index":5.0');
  await assert.rejects(parseKeys(new TextEncoder().encode(text)), FormatError);
});

test("a key off the curve is refused", async () => {
  const spki = fromHex(keys.signer.spki);
  spki[90] ^= 1;
  await assert.rejects(parse(alice({ publicKey: publicKeyPem(spki) })), FormatError);
});

test("a role signs its own kind of claim; key claims and the caller's keys are free", () => {
  const publisher = new TrustedKey({ key: null, role: "publisher" });
  publisher.checkRole(RELEASE);
  publisher.checkRole("urn:assay:key:v1");
  assert.throws(() => publisher.checkRole("urn:assay:execution:v1"), {
    name: "VerificationError",
    expected: "executor",
    found: "publisher",
  });
  new TrustedKey({ key: null }).checkRole("urn:assay:execution:v1");
  new TrustedKey({ key: null, role: "auditor" }).checkRole("urn:assay:replay:v1");
  new TrustedKey({ key: null, role: "registry" }).checkRole("urn:assay:moderation:v1");
});

test("a key counts from its registration to its revocation", () => {
  const key = new TrustedKey({ key: null, index: 5, revoked: 9 });
  for (const index of [5n, 8n, 8]) key.checkIndex(index);
  assert.throws(() => key.checkIndex(4n), /older than its key \(expected an index from 5, found 4/);
  assert.throws(() => key.checkIndex(9n), /revoked \(expected an index below 9, found 9/);
  new TrustedKey({ key: null }).checkIndex(0n);
});

test("of two logs the one that the reader names first came first", () => {
  const order = ["a.example", "b.example"];
  const key = new TrustedKey({
    key: null,
    index: 50,
    revoked: 3,
    log: "a.example",
    revokedLog: "b.example",
  });
  key.checkIndex(50n, "a.example", order);
  key.checkIndex(2n, "b.example", order);
  assert.throws(() => key.checkIndex(49n, "a.example", order), VerificationError);
  assert.throws(() => key.checkIndex(3n, "b.example", order), VerificationError);
  const reversed = [...order].reverse();
  assert.throws(() => key.checkIndex(50n, "a.example", reversed), /below 3 of b.example/);
  assert.throws(() => key.checkIndex(1n, "c.example", order), /which log came first/);
});
