import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { publicKeyPem, verifyEnvelope } from "../../static/js/assay/dsse.js";
import { forgetHashed, recallHashed, rememberHashed } from "../../static/js/hashed-files.js";
import { memoryKeyStore } from "../../static/js/key-store.js";
import { makeKey } from "../../static/js/keys.js";
import { registerKey, registeredKeys, revokeKey, rotateKey } from "../../static/js/registration.js";
import { buildPayloads, checkSigning } from "../../static/js/signing.js";
import { json, text, utf8 } from "./vectors.mjs";

const made = json("js/assay.json");
const CARD = Buffer.from("# A card\n");
const proposal = {
  observed: made.observed,
  model: made.model,
  revision: made.revision,
  manifest: made.manifest,
  resources: made.resources,
  files: made.files,
  card: { sha256: made.files[0].sha256, metadata: made.metadata },
  license: "apache-2.0",
  previous: null,
  next_version: "1.2.0",
};
const hashed = new Map(made.files.map(({ path, sha256 }) => [path, sha256]));
const known = { model: made.model, revision: made.revision, hashed, card: CARD };

async function states(change = {}, knowing = {}) {
  const findings = await checkSigning({ ...proposal, ...change }, { ...known, ...knowing });
  return findings.map(({ state }) => state);
}

async function failure(change, knowing = {}) {
  const findings = await checkSigning({ ...proposal, ...change }, { ...known, ...knowing });
  return findings.filter(({ state }) => state === "failed").map(({ words }) => words);
}

test("an honest proposal passes, and its statements are the verifier's bytes", async () => {
  assert.equal(sha256(CARD), proposal.card.sha256);
  assert.deepEqual(await states(), ["checked", "checked", "server", "checked"]);
  const payloads = await buildPayloads(proposal, "1.2.0");
  for (const kind of ["oms", "card", "release"]) {
    assert.equal(utf8(payloads[kind]), text(made.statements[kind].payload), kind);
  }
});

function sha256(data) {
  return createHash("sha256").update(data).digest("hex");
}

function altered(path, sha256) {
  return made.files.map((file) => (file.path === path ? { path, sha256 } : file));
}

test("the server may not exchange a file that this tab hashed", async () => {
  const files = altered("weights.txt", "ab".repeat(32));
  const [first, second] = await failure({ files });
  assert.match(first, /lists other files/);
  assert.match(second, /weights\.txt was hashed here to .* the server says abab/);
});

test("the server may not add a file, nor leave one out", async () => {
  const more = [...made.files, { path: "evil.onnx", sha256: "ab".repeat(32) }];
  const added = (await failure({ files: more })).join();
  assert.match(added, /evil\.onnx, which this tab did not upload/);
  const fewer = made.files.filter(({ path }) => path !== "model.onnx");
  assert.match((await failure({ files: fewer })).join(), /leaves out model\.onnx/);
});

test("the server may not name another manifest, model, revision or card", async () => {
  const other = "ab".repeat(32);
  assert.match((await failure({ manifest: other })).join(), /the manifest digest is .* says abab/);
  assert.match((await failure({ model: "mallory/x" })).join(), /this page is about alice/);
  assert.match((await failure({ revision: "ab".repeat(20) })).join(), /revision is another/);
  const card = { ...proposal.card, sha256: other };
  assert.match((await failure({ card })).join(), /list of files says/);
  assert.match((await failure({}, { card: Buffer.from("# B") })).join(), /README\.md hashes to/);
});

test("a card that was edited after the upload is told, not refused", async () => {
  const before = new Map(hashed).set("README.md", "cd".repeat(32));
  assert.deepEqual(await failure({}, { hashed: before }), []);
  const findings = await checkSigning(proposal, { ...known, hashed: before });
  assert.match(findings.at(-1).words, /edited after its upload/);
});

test("a card that came by the editor alone is no file too many", async () => {
  const before = new Map(hashed);
  before.delete("README.md");
  assert.deepEqual(await failure({}, { hashed: before }), []);
});

test("what this tab cannot know is the server's word", async () => {
  const expected = ["checked", "unknown", "server"];
  assert.deepEqual(await states({}, { hashed: null, card: null }), expected);
});

test("a list that cannot be signed fails in words", async () => {
  const files = [...made.files, { path: "../x", sha256: "ab".repeat(32) }];
  assert.match((await failure({ files }))[0], /not one that can be signed/);
});

function keeper() {
  const kept = new Map();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}

test("what was hashed is remembered for its model until it is forgotten", () => {
  const storage = keeper();
  rememberHashed(storage, "alice/a", made.files);
  assert.deepEqual(recallHashed(storage, "alice/a"), hashed);
  assert.equal(recallHashed(storage, "alice/b"), null);
  forgetHashed(storage, "alice/a");
  assert.equal(recallHashed(storage, "alice/a"), null);
});

test("a browser that keeps nothing costs the comparison and nothing else", () => {
  const full = {
    getItem: () => "{not json",
    setItem: () => {
      throw new Error("full");
    },
    removeItem: () => {
      throw new Error("forbidden");
    },
  };
  rememberHashed(full, "alice/a", made.files);
  forgetHashed(full, "alice/a");
  assert.equal(recallHashed(full, "alice/a"), null);
});

async function revoked(record) {
  let statement;
  const request = async (method, path, { json: body } = {}) => {
    if (path === "ledger/head") return { origin: "here.example", size: 7, root: "ab".repeat(32) };
    assert.equal(`${method} ${path}`, `POST keys/${record.fingerprint}/revocation`);
    assert.equal(body.reason, "lost");
    statement = JSON.parse(utf8(await verifyEnvelope(body.envelope, record.spki)));
    return {};
  };
  await revokeKey(request, record, "lost");
  return statement;
}

test("a key that is replaced and the new one sign the same statement", async () => {
  const options = { owner: "alice", passphrase: "correct horse", iterations: 100_000 };
  const store = memoryKeyStore();
  const old = await makeKey(store, { ...options, name: "laptop" });
  const next = await makeKey(store, { ...options, name: "desk" });
  let sent;
  const request = async (method, path, { json: body } = {}) => {
    if (path === "ledger/head") return { origin: "here.example", size: 7, root: "ab".repeat(32) };
    assert.equal(`${method} ${path}`, `POST keys/${old.fingerprint}/rotation`);
    sent = body;
    return { fingerprint: next.fingerprint };
  };
  await rotateKey(request, old, next);
  assert.equal(sent.name, "desk");
  const statement = JSON.parse(utf8(await verifyEnvelope(sent.envelope, next.spki)));
  assert.equal(sent.envelope.payload, sent.previous.payload);
  await verifyEnvelope(sent.previous, old.spki);
  assert.deepEqual(statement.subject, [{ digest: { sha256: next.fingerprint } }]);
  const { action, owner, previous, publicKey } = statement.predicate;
  assert.deepEqual([action, owner, previous], ["supersede", "alice", old.fingerprint]);
  assert.equal(publicKey, publicKeyPem(next.spki));
});

test("a key registers itself with a statement that names the ledger's head", async () => {
  const record = await makeKey(memoryKeyStore(), {
    ...{ owner: "alice", name: "laptop", passphrase: "correct horse", iterations: 100_000 },
  });
  const calls = [];
  const items = [{ fingerprint: record.fingerprint, state: "registered" }];
  const request = async (method, path, { json: body } = {}) => {
    calls.push(`${method} ${path}`);
    if (path === "ledger/head") return { origin: "here.example", size: 7, root: "ab".repeat(32) };
    if (method === "GET") return { items };
    const statement = JSON.parse(utf8(await verifyEnvelope(body.envelope, record.spki)));
    assert.equal(body.name, "laptop");
    assert.equal(statement.predicateType, "urn:assay:key:v1");
    assert.deepEqual(statement.predicate.observed, {
      origin: "here.example",
      treeSize: 7,
      rootHash: "ab".repeat(32),
    });
    assert.equal(statement.predicate.owner, "alice");
    assert.deepEqual(statement.subject, [{ digest: { sha256: record.fingerprint } }]);
    return { fingerprint: record.fingerprint };
  };
  assert.deepEqual(await registerKey(request, record), { fingerprint: record.fingerprint });
  assert.deepEqual(calls, ["GET ledger/head", "POST keys"]);
  assert.equal((await revoked(record)).predicate.action, "revoke");
  const keys = await registeredKeys(request, "alice");
  assert.equal(keys.get(record.fingerprint).state, "registered");
});

test("all keys of an owner are read, page by page", async () => {
  const pages = {
    "keys?owner=a%26b": { items: [{ fingerprint: "1" }], next: "x" },
    "keys?owner=a%26b&cursor=x": { items: [{ fingerprint: "2" }], next: "" },
  };
  const keys = await registeredKeys(async (method, address) => pages[address], "a&b");
  assert.deepEqual([...keys.keys()], ["1", "2"]);
});
