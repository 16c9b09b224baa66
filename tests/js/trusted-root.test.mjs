import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeBase64, encodeBase64 } from "../../static/js/assay/base64.js";
import { fromHex, toHex } from "../../static/js/assay/digests.js";
import { FormatError, MisuseError, VerificationError } from "../../static/js/assay/errors.js";
import { ED25519, logId, vkeyFor } from "../../static/js/assay/note.js";
import { parseTrustedRoot } from "../../static/js/assay/policy.js";
import { bytes, json } from "./vectors.mjs";

const vectors = json("log/vectors.json");
const good = json("log/trusted_root.json");
const encode = (value) => new TextEncoder().encode(JSON.stringify(value));

/** The trusted root with another log in it, or another field of that log. */
function altered(change, root = {}) {
  const [log] = structuredClone(good.tlogs);
  change(log);
  return encode({ ...good, tlogs: [log], ...root });
}

test("the trusted root names the log of the vectors", async () => {
  const root = await parseTrustedRoot(bytes("log/trusted_root.json"));
  assert.deepEqual(root.origins, [vectors.origin]);
  const log = root.find(fromHex(vectors.keys.log.log_id));
  assert.equal(log.baseUrl, vectors.base_url);
  assert.equal(String(log.vkey), vectors.keys.log.vkey);
  assert.throws(() => root.find(new Uint8Array(32)), VerificationError);
  assert.ok(Object.isFrozen(root) && Object.isFrozen(root.logs) && Object.isFrozen(log));
});

test("a later log of the same registry stands behind the first", async () => {
  const { public: raw } = vectors.keys.other_log;
  const vkey = await vkeyFor("other.example.org", fromHex(raw), ED25519);
  const later = structuredClone(good.tlogs[0]);
  later.baseUrl = "http://other.example.org:8080/log/";
  later.publicKey.rawBytes = encodeBase64(fromHex(vectors.keys.log.spki.slice(0, 24) + raw));
  later.logId.keyId = encodeBase64(await logId("other.example.org", vkey.key));
  const root = await parseTrustedRoot(encode({ ...good, tlogs: [...good.tlogs, later] }));
  assert.deepEqual(root.origins, [vectors.origin, "other.example.org"]);
  assert.equal(String(root.logs[1].vkey), vectors.keys.other_log.vkey);
});

test("a trusted root without a log is no question", async () => {
  await assert.rejects(parseTrustedRoot(encode({ ...good, tlogs: [] })), MisuseError);
});

for (const start of ["2024-02-29T23:59:59Z", "0001-01-01T00:00:00.123456789Z"]) {
  test(`the instant ${start} exists`, async () => {
    const root = await parseTrustedRoot(altered((log) => (log.publicKey.validFor.start = start)));
    assert.equal(root.logs[0].start, start);
  });
}

for (const start of [
  "2023-02-29T00:00:00Z",
  "2024-01-01T24:00:00Z",
  "2024-01-01T00:00:60Z",
  "2024-13-01T00:00:00Z",
  "0000-01-01T00:00:00Z",
  "2024-01-01T00:00:00",
  "2024-01-01T00:00:00+00:00",
  "2024-01-01 00:00:00Z",
  "2024-01-01T00:00:00.Z",
  "",
  null,
  0,
]) {
  test(`mallory's instant ${start} does not`, async () => {
    const data = altered((log) => (log.publicKey.validFor.start = start));
    await assert.rejects(parseTrustedRoot(data), FormatError);
  });
}

for (const url of [
  "ftp://ledger.example.org/log",
  "https://Ledger.example.org/log",
  "https://ledger.example.org:123456/log",
  "https://me@ledger.example.org/log",
  "https://ledger.example.org/log?x=1",
  "https://ledger.example.org//log",
  "https:///log",
  "",
  null,
]) {
  test(`mallory's log is not at ${url}`, async () => {
    await assert.rejects(parseTrustedRoot(altered((log) => (log.baseUrl = url))), FormatError);
  });
}

const flipped = (text) => {
  const data = decodeBase64(text);
  data[data.length - 1] ^= 1;
  return encodeBase64(data);
};
for (const [what, data] of [
  ["another media type", encode({ ...good, mediaType: "text/plain" })],
  ["an unknown field", encode({ ...good, logs: [] })],
  ["no logs", encode({ mediaType: good.mediaType })],
  ["an object of logs", encode({ ...good, tlogs: {} })],
  ["a certificate authority", encode({ ...good, certificateAuthorities: [{}] })],
  ["null authorities", encode({ ...good, ctlogs: null })],
  ["a log twice", encode({ ...good, tlogs: [...good.tlogs, ...good.tlogs] })],
  ["a log that is null", encode({ ...good, tlogs: [null] })],
  ["a list", encode([good])],
  ["another hash", altered((log) => (log.hashAlgorithm = "SHA2_512"))],
  ["another kind of key", altered((log) => (log.publicKey.keyDetails = "PKIX_ECDSA"))],
  ["an end", altered((log) => (log.publicKey.validFor.end = "2030-01-01T00:00:00Z"))],
  ["another key", altered((log) => (log.publicKey.rawBytes = flipped(log.publicKey.rawBytes)))],
  ["a raw key", altered((log) => (log.publicKey.rawBytes = "AAAA"))],
  ["another id", altered((log) => (log.logId.keyId = flipped(log.logId.keyId)))],
  ["another origin", altered((log) => (log.baseUrl = "https://other.example.org/log"))],
  ["a short id", altered((log) => (log.logId.keyId = "/ud0PA=="))],
  ["a megabyte and more", encode({ ...good, ctlogs: ["x".repeat(2 ** 20)] })],
]) {
  test(`mallory's trusted root with ${what} is refused`, async () => {
    await assert.rejects(parseTrustedRoot(data), FormatError);
  });
}

test("the id of a log is the hash of origin and key", async () => {
  const { public: raw, log_id: id } = vectors.keys.log;
  assert.equal(toHex(await logId(vectors.origin, fromHex(raw))), id);
});
