// The parts of /verify/ that need no page: the plan, what is dropped, what is believed, one history.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Checkpoint } from "../../static/js/assay/checkpoint.js";
import { concat, toHex } from "../../static/js/assay/digests.js";
import { UnavailableError, VerificationError } from "../../static/js/assay/errors.js";
import { encodeBase64 } from "../../static/js/assay/base64.js";
import { leafHash, rootOf } from "../../static/js/assay/merkle.js";
import { ED25519, vkeyFor } from "../../static/js/assay/note.js";
import { verifyCheckpoint } from "../../static/js/assay/policy.js";
import { checkSplitView, parseSplitView } from "../../static/js/assay/splitview.js";
import { checkContinues } from "../../static/js/verify/history.js";
import { Hands, recognise } from "../../static/js/verify/handed.js";
import { checkKeysKept, readPins, writePins } from "../../static/js/verify/pins.js";
import { Plan, leftOut } from "../../static/js/verify/plan.js";
import { read, receiptAddress } from "../../static/js/verify/sources.js";
import { verdictWords } from "../../static/js/verify/verdict.js";
import { parseSalt } from "../../static/js/verify/claim.js";
import { bytes } from "./vectors.mjs";

const SITE = "https://models.example.org";
const ID = "01a21725-c57e-7ada-81b5-856fa0cd364c";
const passAll = (plan) => {
  for (const { id } of plan.steps) plan.pass(id, "compared");
};

// ---------------------------------------------------------------- the plan

test("a plan has the page's steps in order, and tells of each change", () => {
  const told = [];
  const plan = new Plan((step) => told.push(`${step.id} ${step.state}`));
  assert.deepEqual(plan.steps.map(({ id }) => id).slice(0, 4), ["A", "B", "1", "2"]);
  assert.equal(plan.steps.length, 19);
  assert.equal(plan.next(), "1");
  plan.run("1");
  plan.pass("1", "compared", "It makes sense");
  assert.equal(plan.next(), "2");
  assert.equal(plan.step("1").title, "It makes sense");
  assert.deepEqual(told, ["1 running", "1 passed"]);
});

test("a lie fails its step with both values, an absence skips it", () => {
  const plan = new Plan();
  plan.end("4", new VerificationError("another root", { expected: "aa", found: "bb" }));
  const { state, detail, expected, found } = plan.step("4");
  assert.deepEqual([state, detail, expected, found], ["failed", "another root", "aa", "bb"]);
  plan.end("5", new UnavailableError("no answer"));
  assert.deepEqual(plan.step("5").state, "skipped");
  assert.match(plan.step("5").detail, /^could not check: no answer$/);
  plan.reset(["4"]);
  assert.equal("expected" in plan.step("4"), false);
});

test("the verdict is the worst of the steps, and what does not apply is no gap", () => {
  const plan = new Plan();
  assert.equal(plan.verdict, "waiting");
  passAll(plan);
  assert.equal(plan.verdict, "verified");
  assert.match(verdictWords(plan).words, /same bits/);
  plan.skip("13", leftOut("only of executions"));
  plan.skip("17", "could not check: too large");
  assert.equal(plan.verdict, "verified");
  plan.skip("9", "could not check: offline");
  assert.equal(plan.verdict, "partly");
  assert.match(verdictWords(plan).words, /Step 9: could not check: offline/);
  plan.end("B", new VerificationError("the tree shrank"));
  assert.equal(plan.verdict, "failed");
  assert.match(verdictWords(plan).title, /^Refused at step B/);
});

// ---------------------------------------------------------------- what is dropped and typed

test("only addresses of this site are read", () => {
  const path = `/executions/${ID}/receipt`;
  for (const typed of [ID, ` ${path} `, SITE + path, `/executions/${ID}/`]) {
    assert.equal(receiptAddress(typed, SITE), path, typed);
  }
  assert.equal(receiptAddress("/ledger/7/bundle?log=a.example", SITE), "/ledger/7/bundle?log=a.example");
  const others = ["", "https://evil.example/x", `${SITE}.evil.example/x`, "//evil.example/x"];
  for (const typed of [...others, "/\\evil.example/x", "javascript:alert(1)", "receipt"]) {
    assert.equal(receiptAddress(typed, SITE), "", typed);
  }
});

test("an answer is read up to its limit, and silence is no lie", async () => {
  const answers = new Map([["/ok", new Response("abc")]]);
  const fetch = async (path) => answers.get(path) ?? new Response("", { status: 404 });
  assert.equal(new TextDecoder().decode(await read("/ok", { limit: 3, fetch })), "abc");
  answers.set("/ok", new Response("abcd"));
  await assert.rejects(read("/ok", { limit: 3, fetch }), /more than 3 bytes/);
  await assert.rejects(read("/no", { limit: 3, fetch }), ({ status }) => status === 404);
  const down = () => Promise.reject(new TypeError("network"));
  await assert.rejects(read("/no", { limit: 3, fetch: down }), { name: "UnavailableError" });
});

const file = (path, data) => recognise({ path, file: new Blob([data]) });

test("files are told apart by what they are, whatever they are called", async () => {
  const kinds = new Map([
    ["bundle.json", "receipt"],
    ["trusted_root.json", "trustedRoot"],
    ["witness-policy.txt", "policy"],
    ["model.onnx", "model"],
    ["checkpoint", "model"],
  ]);
  for (const [name, kind] of kinds) {
    assert.equal((await file("x", bytes(`log/${name}`))).kind, kind, name);
  }
  assert.equal((await file("keys.json", '{"keys":[]}')).kind, "keys");
  assert.equal((await file("a", "assay-tensors-v1\n{}\n")).kind, "tensors");
  assert.equal((await file("config.json", '{"layers": 3}')).kind, "model");
  assert.equal((await file("cut", '{"dsseEnvelope": {"pay')).kind, "receipt");
  assert.equal((await file("empty", "")).kind, "model");
});

test("what was dropped is told in words, and the newest of a kind counts", async () => {
  const hands = new Hands();
  for (const [path, data] of [
    ["receipt.json", bytes("log/bundle.json")],
    ["Output.tensors", "assay-tensors-v1\nout"],
    ["input.tensors", "assay-tensors-v1\nin"],
    ["sample", "assay-tensors-v1\nneither"],
    ["m/model.onnx", bytes("log/model.onnx")],
    ["m/README.md", "# x"],
    ["keys.json", '{"keys":[]}'],
  ]) {
    hands.take(await file(path, data));
  }
  const text = (data) => new TextDecoder().decode(data);
  assert.match(text(hands.tensorsOf("output")), /out$/);
  assert.match(text(hands.tensorsOf("input")), /in$/);
  assert.deepEqual(hands.unnamed.map(text), ["assay-tensors-v1\nneither"]);
  assert.deepEqual([...hands.model.keys()], ["m/model.onnx", "m/README.md"]);
  assert.equal(text(hands.believed.keys), '{"keys":[]}');
  const words = hands.told.map((told) => told.words);
  assert.ok(words.includes("model folder of 2 files") && words.includes("list of keys"));
});

test("a salt has one spelling", () => {
  assert.equal(parseSalt("0a".repeat(32)).length, 32);
  for (const text of ["", "0A".repeat(32), "0a".repeat(31), null, 7]) {
    assert.equal(parseSalt(text), null);
  }
});

// ---------------------------------------------------------------- what is believed

const key = (change) => ({
  ...{ fingerprint: "ab".repeat(32), role: "executor", owner: "", publicKey: "PEM", index: 2 },
  ...change,
});
const document = (...keys) => JSON.stringify({ keys });

test("a server may add keys and revocations, and take none back", () => {
  const before = document(key({ revoked: 9 }));
  checkKeysKept(document(key({ index: null })), document(key()));
  checkKeysKept(document(key()), document(key({ revoked: 9 }), key({ fingerprint: "cd".repeat(32) })));
  const lies = [
    document(),
    document(key()),
    document(key({ revoked: 10 })),
    document(key({ revoked: 9, index: 3 })),
    document(key({ revoked: 9, role: "publisher" })),
    document(key({ revoked: 9, owner: "mallory" })),
  ];
  for (const now of lies) {
    assert.throws(() => checkKeysKept(before, now), ({ name, expected, found }) => {
      return name === "VerificationError" && expected !== found;
    });
  }
});

test("a browser that keeps nothing has no pins, and a damaged note is none", () => {
  const kept = new Map();
  const store = { getItem: (name) => kept.get(name) ?? null, setItem: (n, v) => kept.set(n, v) };
  const pins = { trustedRoot: "r", policy: "p", keys: "k", at: "now" };
  assert.equal(writePins(store, pins), true);
  assert.deepEqual(readPins(store), pins);
  kept.set("assay-pins", '{"trustedRoot": 7}');
  assert.equal(readPins(store), null);
  kept.set("assay-pins", "{");
  assert.equal(readPins(store), null);
  assert.equal(readPins(null), null);
  assert.equal(writePins(null, pins), false);
});

// ---------------------------------------------------------------- one history

/** A log of this test's: its key, its signed checkpoints, and a site that serves its tiles. */
async function makeLog() {
  const { publicKey, privateKey } = await crypto.subtle.generateKey("Ed25519", true, [
    ...["sign", "verify"],
  ]);
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
  const vkey = await vkeyFor("log.example.org", raw, ED25519);
  const checkpoint = async (leaves) => {
    const root = await rootOf(leaves);
    const { text } = new Checkpoint({ origin: vkey.name, size: BigInt(leaves.length), root });
    const signed = await crypto.subtle.sign("Ed25519", privateKey, new TextEncoder().encode(text));
    const line = encodeBase64(concat([vkey.keyId, new Uint8Array(signed)]));
    const note = new TextEncoder().encode(`${text}\n\u2014 ${vkey.name} ${line}\n`);
    return verifyCheckpoint(note, { origin: vkey.name, log: vkey, policy: null });
  };
  return { vkey, checkpoint };
}

const leavesOf = (count, word = "entry") =>
  Promise.all(
    Array.from({ length: count }, (_, index) => leafHash(new TextEncoder().encode(word + index))),
  );

/** Serve the one tile of a log of at most 255 entries, and remember what was asked. */
function serve(leaves) {
  return async (path) => {
    const found = path === `/log/tile/0/000.p/${leaves.length}`;
    return found ? new Response(concat(leaves)) : new Response("", { status: 404 });
  };
}

test("a tree that grew continues the one before, rebuilt from the log's tiles", async () => {
  const { checkpoint } = await makeLog();
  const leaves = await leavesOf(13);
  const newer = await checkpoint(leaves);
  for (const size of [0, 1, 7, 8, 13]) {
    await checkContinues(await checkpoint(leaves.slice(0, size)), newer, serve(leaves));
  }
});

test("a tree that shrank, and tiles of another tree, are refused with both values", async () => {
  const { checkpoint } = await makeLog();
  const leaves = await leavesOf(13);
  const [older, newer] = [await checkpoint(leaves.slice(0, 7)), await checkpoint(leaves)];
  await assert.rejects(checkContinues(newer, older, serve(leaves)), /the tree shrank/);
  const others = await leavesOf(13, "other");
  await assert.rejects(checkContinues(older, newer, serve(others)), ({ message, expected }) => {
    return /tiles are not those/.test(message) && expected === toHex(newer.checkpoint.root);
  });
  await assert.rejects(checkContinues(older, newer, serve([])), { name: "UnavailableError" });
});

test("two signed histories are a fork, and its evidence convinces a stranger", async () => {
  const { vkey, checkpoint } = await makeLog();
  const [leaves, others] = [await leavesOf(13), await leavesOf(13, "other")];
  const newer = await checkpoint(leaves);
  for (const size of [13, 7, 8]) {
    const older = await checkpoint(others.slice(0, size));
    const error = await checkContinues(older, newer, serve(leaves)).catch((thrown) => thrown);
    assert.equal(error.name, "SplitViewError");
    assert.notEqual(error.expected, error.found);
    assert.match(await checkSplitView(parseSplitView(error.evidence), vkey), /signed/);
  }
});
