import assert from "node:assert/strict";
import { test } from "node:test";

import { loadPublicKey } from "../../static/js/assay/dsse.js";
import { checkSplitView, parseSplitView } from "../../static/js/assay/splitview.js";
import { VKey } from "../../static/js/assay/note.js";
import { ROWS, checkPanel } from "../../static/js/panel-check.js";
import { forkEvidence } from "../../static/js/fork.js";
import { openMemory } from "../../static/js/remembered.js";
import { bytes, json } from "./vectors.mjs";

const RELEASE = "urn:assay:release:v1";
const NOON = new Date(Date.UTC(2026, 10, 3, 12));
const [GREEN, RED, OPEN] = ["checked", "failed", "unknown"];
const read = (name) => new Uint8Array(bytes(`log/${name}`));
const manifest = () => statement().predicate.manifest;
const statement = () => JSON.parse(atob(json("log/bundle.json").dsseEnvelope.payload));

const key = await loadPublicKey(read("signer.pub"));
const listed = {
  ...{ fingerprint: key.fingerprint, role: "publisher", owner: "alice" },
  ...{ publicKey: key.pem, index: null },
};

/** A site that answers from the committed vectors; `lies` are other answers, null for a 404. */
function site(lies = {}) {
  const answers = {
    "/entry/bundle": read("bundle.json"),
    "/files/model.onnx": read("model.onnx"),
    "/.well-known/assay/trusted_root.json": read("trusted_root.json"),
    "/.well-known/assay/witness-policy.txt": read("witness-policy.txt"),
    "/.well-known/assay/keys.json": JSON.stringify({ keys: [listed] }),
    "/log/checkpoint": read("checkpoint"),
    ...Object.fromEntries(
      ["tile/0/000", "tile/0/001.p/3", "tile/1/000.p/1"].map((path) => [`/log/${path}`, read(path)]),
    ),
    ...lies,
  };
  return async (path) => new Response(answers[path] ?? null, { status: answers[path] ? 200 : 404 });
}

function store() {
  const kept = new Map();
  return {
    get length() {
      return kept.size;
    },
    key: (place) => [...kept.keys()][place] ?? null,
    getItem: (name) => kept.get(name) ?? null,
    removeItem: (name) => kept.delete(name),
    setItem: (name, value) => kept.set(name, value),
  };
}

const ASKED = {
  ...{ bundle: "/entry/bundle", type: RELEASE },
  ...{ file: "/files/model.onnx", fileName: "model.onnx" },
};

async function check({ lies = {}, asked = {}, kept = store() } = {}) {
  const memory = openMemory(kept);
  const tools = { memory, store: kept, fetch: site(lies), now: NOON };
  const { rows, fork } = await checkPanel({ ...ASKED, ...asked }, tools);
  return { rows, fork, memory, states: ROWS.map((name) => rows[name].state) };
}

/** Change the bundle: its JSON is given to `change`. */
function forged(change) {
  const bundle = json("log/bundle.json");
  change(bundle);
  return { "/entry/bundle": JSON.stringify(bundle) };
}

function inclusion(bundle) {
  return bundle.verificationMaterial.tlogEntries[0].inclusionProof;
}

test("a true release fills every row, with the steps that each stands on", async () => {
  const { rows, states, memory } = await check({ asked: { manifest: manifest() } });
  assert.deepEqual(states, [GREEN, GREEN, GREEN, GREEN]);
  const numbers = ROWS.map((name) => rows[name].steps.map(({ number }) => number));
  assert.deepEqual(numbers, [[1, 2, 3, 10, 11], [4, 12], [5, 7, 8], [6, 9, 14]]);
  assert.match(rows.contents.words, /model\.onnx .*other files \(4\) were not downloaded/);
  assert.equal(memory.recall("ledger.example.org").size, 259);
});

test("the statement on the page is compared with the signed one, and so is the manifest", async () => {
  const payload = atob(json("log/bundle.json").dsseEnvelope.payload);
  const shown = await check({ asked: { payload, file: "" } });
  assert.deepEqual(shown.states, [GREEN, GREEN, GREEN, GREEN]);
  const other = await check({ asked: { payload: `${payload} `, file: "" } });
  assert.deepEqual(other.states, [RED, GREEN, GREEN, GREEN]);
  const lie = "0".repeat(64);
  const { rows } = await check({ asked: { manifest: lie } });
  assert.deepEqual([rows.contents.expected, rows.contents.found], [manifest(), lie]);
});

test("what was not compared is not green, and says why", async () => {
  const { rows, states } = await check({ lies: { "/files/model.onnx": null } });
  assert.deepEqual(states, [OPEN, GREEN, GREEN, GREEN]);
  assert.match(rows.contents.words, /404/);
  assert.deepEqual((await check({ asked: { file: "" } })).states, [OPEN, GREEN, GREEN, GREEN]);
});

test("mallory's file turns one row red, and hides nothing of the others", async () => {
  const { rows, states } = await check({ lies: { "/files/model.onnx": "a backdoor" } });
  assert.deepEqual(states, [RED, GREEN, GREEN, GREEN]);
  assert.match(rows.contents.found, /^[0-9a-f]{64}$/);
  assert.notEqual(rows.contents.found, rows.contents.expected);
});

test("a forged signature is red where signatures are, and nothing after it is believed", async () => {
  const lies = forged((bundle) => {
    const { signatures } = bundle.dsseEnvelope;
    const der = Buffer.from(signatures[0].sig, "base64");
    der[der.length - 1] ^= 1;
    signatures[0].sig = der.toString("base64");
  });
  assert.deepEqual((await check({ lies })).states, [OPEN, RED, OPEN, OPEN]);
});

test("an entry that is not in the tree is red where the ledger is", async () => {
  const lies = forged((bundle) => {
    inclusion(bundle).hashes[0] = Buffer.alloc(32).toString("base64");
  });
  const { rows, states } = await check({ lies });
  assert.deepEqual(states, [OPEN, OPEN, RED, OPEN]);
  assert.deepEqual(rows.signature.steps.map(({ number }) => number), [4]);
  assert.match(rows.signature.words, /not reached: the inclusion proof/);
});

test("a checkpoint without its witnesses is red where consistency is", async () => {
  const lies = forged((bundle) => {
    const { checkpoint } = inclusion(bundle);
    checkpoint.envelope = checkpoint.envelope.replaceAll(/\u2014 witness.*\n/g, "");
  });
  assert.deepEqual((await check({ lies })).states, [GREEN, GREEN, GREEN, RED]);
});

test("a key that was revoked before is red where signatures are", async () => {
  const keys = JSON.stringify({ keys: [{ ...listed, index: 1, revoked: 200 }] });
  const lies = { "/.well-known/assay/keys.json": keys };
  const { rows, states } = await check({ lies });
  assert.deepEqual(states, [GREEN, RED, GREEN, GREEN]);
  assert.match(rows.signature.words, /revoked/);
  const nobody = { "/.well-known/assay/keys.json": '{"keys":[]}' };
  assert.deepEqual((await check({ lies: nobody })).states, [OPEN, RED, OPEN, OPEN]);
});

test("a statement of another type, and bytes that are none, are red where contents are", async () => {
  const other = await check({ asked: { type: "urn:assay:execution:v1" } });
  assert.deepEqual(other.states, [RED, OPEN, OPEN, OPEN]);
  const cut = await check({ lies: { "/entry/bundle": "{" } });
  assert.deepEqual(cut.states, [RED, OPEN, OPEN, OPEN]);
});

test("a later visit continues the first; offline nothing is claimed", async () => {
  const kept = store();
  await check({ kept });
  const { rows } = await check({ kept });
  assert.match(rows.consistency.words, /continues the 259 leaves/);
  const offline = { "/entry/bundle": null };
  assert.deepEqual((await check({ kept, lies: offline })).states, [OPEN, OPEN, OPEN, OPEN]);
});

test("another key of the log, or another policy, than this browser saw is red", async () => {
  for (const change of [{ vkey: "other" }, { policy: "quorum none\n" }]) {
    const kept = store();
    await check({ kept });
    const memory = openMemory(kept);
    const seen = memory.recall("ledger.example.org");
    memory.remember({ ...seen, ...change }, seen.note, NOON);
    const { rows, states } = await check({ kept });
    assert.deepEqual(states, [OPEN, OPEN, OPEN, RED]);
    assert.ok(rows.consistency.found);
  }
});

test("a fork is an alarm that stays, with evidence that anybody can check", async () => {
  const kept = store();
  await check({ kept });
  const lies = { "/log/checkpoint": read("checkpoint.fork") };
  const { rows, fork, memory } = await check({ kept, lies });
  assert.equal(rows.consistency.state, RED);
  assert.deepEqual(memory.forks(), [fork]);
  const evidence = parseSplitView(new TextEncoder().encode(forkEvidence(fork)));
  const log = await VKey.parse(memory.recall("ledger.example.org").vkey);
  assert.match(await checkSplitView(evidence, log), /signed two trees of 259 leaves/);
  const after = await check({ kept });
  assert.equal(after.rows.consistency.state, RED);
});

test("a tree that shrank is red, and is no fork", async () => {
  const kept = store();
  await check({ kept });
  const { rows, fork } = await check({ kept, lies: { "/log/checkpoint": read("checkpoint.200") } });
  assert.deepEqual([rows.consistency.state, fork], [RED, null]);
  assert.match(rows.consistency.words, /shrank/);
});
