import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../../static/js/api.js";
import { decodeBase64, encodeBase64 } from "../../static/js/assay/base64.js";
import { equalBytes, publicKeyPem, verifyEnvelope } from "../../static/js/assay/dsse.js";
import { FormatError, MisuseError, VerificationError } from "../../static/js/assay/errors.js";
import {
  ITERATIONS,
  parseBackup,
  renderBackup,
  serverCopy,
  unwrapKey,
} from "../../static/js/key-backup.js";
import { memoryKeyStore } from "../../static/js/key-store.js";
import { fetchCopy } from "../../static/js/registration.js";
import { listKeys, makeKey, restoreKey, sign, signingProblem } from "../../static/js/keys.js";

const PASSPHRASE = "correct horse battery";
const OWNER = { owner: "alice", name: "laptop", passphrase: PASSPHRASE, iterations: 100_000 };
const payload = new TextEncoder().encode('{"_type":"x"}');

async function alice() {
  const store = memoryKeyStore();
  return { store, record: await makeKey(store, OWNER) };
}

test("a made key signs, and nobody can export it", async () => {
  const { store, record } = await alice();
  const stored = await store.get(record.fingerprint);
  assert.equal(stored.privateKey.extractable, false);
  assert.deepEqual(stored.privateKey.usages, ["sign"]);
  await assert.rejects(crypto.subtle.exportKey("pkcs8", stored.privateKey));
  const envelope = await sign(stored, payload);
  assert.deepEqual(await verifyEnvelope(envelope, stored.spki), payload);
});

test("a backup is wrapped by 600000 rounds unless told otherwise", async () => {
  assert.equal(ITERATIONS, 600_000);
  const record = await makeKey(memoryKeyStore(), { ...OWNER, iterations: undefined });
  assert.equal(record.backup.iterations, 600_000);
  assert.equal(decodeBase64(record.backup.wrapped).length, 154);
  assert.equal(record.spki.length, 91);
});

test("the backup brings the key to another browser", async () => {
  const { record } = await alice();
  const other = memoryKeyStore();
  const backup = await parseBackup(renderBackup(record.backup));
  const restored = await restoreKey(other, backup, PASSPHRASE);
  assert.equal(restored.fingerprint, record.fingerprint);
  assert.ok(equalBytes(restored.spki, record.spki));
  assert.equal(restored.owner, "alice");
  assert.equal(restored.privateKey.extractable, false);
  assert.equal(restored.proved, true);
  await verifyEnvelope(await sign(restored, payload), record.spki);
  assert.equal((await listKeys(other)).length, 1);
});

test("restoring a key that is here proves the backup and keeps its name and date", async () => {
  const { store, record } = await alice();
  assert.equal(record.proved, false);
  const renamed = { ...record.backup, name: "mallory's name" };
  const restored = await restoreKey(store, renamed, PASSPHRASE, new Date(0));
  assert.equal(restored.proved, true);
  assert.equal(restored.name, "laptop");
  assert.equal(restored.createdAt, record.createdAt);
});

test("one passphrase in two Unicode forms is one passphrase", async () => {
  const store = memoryKeyStore();
  const record = await makeKey(store, { ...OWNER, passphrase: "caf\u00e9 au lait" });
  await unwrapKey(record.backup, "cafe\u0301 au lait");
});

test("mallory has the file but not the passphrase", async () => {
  const { record } = await alice();
  await assert.rejects(unwrapKey(record.backup, "correct horse batterz"), VerificationError);
});

test("mallory may not put another public key beside the wrapped one", async () => {
  const { record } = await alice();
  const mallory = await alice();
  const { fingerprint, spki } = mallory.record.backup;
  const forged = { ...record.backup, fingerprint, spki };
  await parseBackup(renderBackup(forged)); // well-formed, so only the cryptography can tell
  await assert.rejects(restoreKey(memoryKeyStore(), forged, PASSPHRASE), VerificationError);
});

for (const field of ["wrapped", "salt", "iv"]) {
  test(`a flipped bit in ${field} is noticed`, async () => {
    const { record } = await alice();
    const bytes = decodeBase64(record.backup[field]);
    bytes[0] ^= 1;
    const forged = { ...record.backup, [field]: encodeBase64(bytes) };
    await assert.rejects(unwrapKey(forged, PASSPHRASE), VerificationError);
  });
}

test("a file that is no backup is refused with the reason", async () => {
  const { record } = await alice();
  const lies = {
    "not JSON": "hello",
    "null": "null",
    "another format": JSON.stringify({ ...record.backup, format: "x" }),
    "no rounds": JSON.stringify({ ...record.backup, iterations: 1 }),
    "rounds to freeze the page": JSON.stringify({ ...record.backup, iterations: 1e12 }),
    "rounds as text": JSON.stringify({ ...record.backup, iterations: "600000" }),
    "no name": JSON.stringify({ ...record.backup, name: undefined }),
    "loose base64": JSON.stringify({ ...record.backup, iv: "AA" }),
    "another fingerprint": JSON.stringify({ ...record.backup, fingerprint: "00".repeat(32) }),
  };
  for (const [what, text] of Object.entries(lies)) {
    await assert.rejects(parseBackup(text), FormatError, what);
  }
});

test("a short passphrase makes no key", async () => {
  const store = memoryKeyStore();
  await assert.rejects(makeKey(store, { ...OWNER, passphrase: "1234567" }), MisuseError);
  assert.deepEqual(await listKeys(store), []);
});

test("the server's copy holds neither passphrase nor key", async () => {
  const { record } = await alice();
  const copy = serverCopy(record.backup);
  assert.deepEqual(Object.keys(copy).sort(), ["iterations", "iv", "salt", "wrapped"]);
});

test("the server's copy and the registered key bring the key back", async () => {
  const { record } = await alice();
  const key = {
    ...{ fingerprint: record.fingerprint, owner: "alice", name: "laptop" },
    public_key: publicKeyPem(record.spki),
  };
  const request = async (method, path) => {
    assert.equal(`${method} ${path}`, `GET keys/${record.fingerprint}/backup`);
    return serverCopy(record.backup);
  };
  assert.deepEqual(await fetchCopy(request, key), record.backup);
  const absent = async () => {
    throw new ApiError({ status: 404, code: "unknown_key", message: "none" });
  };
  assert.equal(await fetchCopy(absent, key), null);
  const mallory = { ...key, public_key: publicKeyPem((await alice()).record.spki) };
  await assert.rejects(fetchCopy(request, mallory), FormatError);
});

test("keys are listed newest first, and those of one owner alone", async () => {
  const store = memoryKeyStore();
  const at = (year) => new Date(Date.UTC(year, 0));
  await makeKey(store, { ...OWNER, name: "old", now: at(2024) });
  await makeKey(store, { ...OWNER, name: "new", now: at(2026) });
  await makeKey(store, { ...OWNER, owner: "bob", name: "bob's", now: at(2025) });
  const names = async (owner) => (await listKeys(store, owner)).map(({ name }) => name);
  assert.deepEqual(await names(), ["new", "bob's", "old"]);
  assert.deepEqual(await names("alice"), ["new", "old"]);
});

test("a page without WebCrypto says why it cannot sign", (t) => {
  const { subtle } = globalThis.crypto;
  const put = (value) =>
    Object.defineProperty(globalThis.crypto, "subtle", { value, configurable: true });
  t.after(() => put(subtle));
  put(undefined);
  assert.match(signingProblem(), /HTTPS or localhost/);
});
