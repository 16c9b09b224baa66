// The browser's verifier says what Python's says of the same claims, step by step and word for word
// (tests/js/verified.py makes the vectors).

import assert from "node:assert/strict";
import { test } from "node:test";

import { hintFor, omsHintFor } from "../../static/js/assay/bundle.js";
import { loadPublicKey } from "../../static/js/assay/dsse.js";
import { MisuseError, SplitViewError } from "../../static/js/assay/errors.js";
import { TrustedKey, parseKeys } from "../../static/js/assay/keys.js";
import { VKey } from "../../static/js/assay/note.js";
import { parsePolicy, parseTrustedRoot, verifyCheckpoint } from "../../static/js/assay/policy.js";
import { Policy, verifyBundle, verifyTlogProof } from "../../static/js/assay/verify/index.js";
import { verdict } from "./verdict.mjs";
import { bytes, json } from "./vectors.mjs";

const { held, rows } = json("js/verified.json");
const values = json("log/vectors.json");
const read = (/** @type {string} */ name) => new Uint8Array(bytes(`log/${name}`));

function question({ id, kind, fields, options }) {
  const named = Object.entries(fields).map(([name, place]) => [name, held[place]]);
  return { id, kind, options, ...Object.fromEntries(named) };
}

for (const row of rows) {
  const does = row.answer.family === "ok" ? "is verified" : `is answered "${row.answer.family}"`;
  test(`${row.id}: ${does}, as Python says`, async () => {
    const { id, ...said } = await verdict(question(row));
    assert.equal(id, row.id);
    assert.deepEqual(said.steps, row.answer.steps);
    assert.deepEqual(said, row.answer);
  });
}

test("a step is told as it passes, and none after the one that fails", () => {
  const numbers = rows.map(({ answer }) => answer.steps.map(({ number }) => number));
  for (const taken of numbers) assert.deepEqual(taken, [...taken].sort((a, b) => a - b));
  assert.ok(numbers.some((taken) => taken.length === 14));
});

async function pins() {
  return {
    key: await loadPublicKey(read("signer.pub")),
    trustedRoot: await parseTrustedRoot(read("trusted_root.json")),
    policy: await parsePolicy(read("witness-policy.txt")),
  };
}

test("what is verified names signer, index, tree and steps, and is frozen", async () => {
  const steps = [];
  const verified = await verifyBundle(read("bundle.json"), {
    ...(await pins()),
    predicateType: "urn:assay:release:v1",
    withoutFile: true,
    onStep: (step) => steps.push(step),
  });
  assert.equal(verified.index, 256n);
  assert.equal(verified.checkpoint.checkpoint.size, 259n);
  assert.equal(verified.key.fingerprint, values.keys.signer.fingerprint);
  assert.equal(verified.statement.subjects.length, 5);
  assert.equal(verified.registered, false);
  assert.deepEqual(verified.steps, steps);
  assert.ok(Object.isFrozen(verified) && Object.isFrozen(verified.steps));
});

test("a fork hands over both signed notes", async () => {
  const { key, trustedRoot, policy } = await pins();
  const [log] = trustedRoot.logs;
  const fork = await verifyCheckpoint(read("checkpoint.fork"), {
    ...{ origin: log.origin, log: log.vkey, policy },
  });
  const asked = { predicateType: "urn:assay:release:v1", withoutFile: true, remembered: fork };
  await assert.rejects(
    verifyBundle(read("bundle.json"), { key, trustedRoot, policy, ...asked }),
    (error) => {
      assert.ok(error instanceof SplitViewError);
      assert.deepEqual(error.first, fork.note);
      assert.match(new TextDecoder().decode(error.second), /^ledger\.example\.org\n259\n/);
      return true;
    },
  );
});

test("a checkpoint of another log is no memory of this one", async () => {
  const { trustedRoot, ...rest } = await pins();
  const other = { checkpoint: { origin: "other.example.org", size: 1n, root: new Uint8Array(32) } };
  const policy = new Policy({ witnesses: rest.policy, knownTo: other });
  const key = new TrustedKey({ key: rest.key, role: "publisher", owner: "alice", index: 7 });
  const { steps } = await verifyBundle(read("bundle.json"), {
    ...{ key, trustedRoot, policy, remembered: other, withoutFile: true },
    predicateType: "urn:assay:release:v1",
  });
  assert.equal(steps[8].detail, "nothing is remembered of ledger.example.org");
  assert.match(steps[12].detail, /the reader's checkpoint is of other\.example\.org$/);
});

test("revocations are known as far as a later log that the trusted root names", async () => {
  const { trustedRoot, ...rest } = await pins();
  const [log] = trustedRoot.logs;
  const logs = { find: () => log, logs: [log], origins: [log.origin, "next.example.org"] };
  const next = { checkpoint: { origin: "next.example.org", size: 9n, root: new Uint8Array(32) } };
  const key = new TrustedKey({ key: rest.key, role: "publisher", owner: "alice", index: 7 });
  const { steps } = await verifyBundle(read("bundle.json"), {
    ...{ key, trustedRoot: logs, withoutFile: true, predicateType: "urn:assay:release:v1" },
    policy: new Policy({ witnesses: rest.policy, knownTo: next }),
  });
  assert.match(steps[12].detail, /known to 9 leaves of the later log next\.example\.org$/);
});

for (const [what, change] of [
  ["no log", { trustedRoot: { logs: [], origins: [] } }],
  ["no type", { predicateType: "" }],
  ["no thing", { withoutFile: false }],
  ["a folder for a release", { withoutFile: false, manifest: [] }],
  [
    "a file for model signing",
    {
      predicateType: "https://model_signing/signature/v1.0",
      withoutFile: false,
      fileSha256: "ab".repeat(32),
    },
  ],
  ["a policy that was forgotten", { policy: undefined }],
  ["an age that is no number of seconds", { policy: new Policy({ witnesses: null, now: 0.5 }) }],
]) {
  test(`a question about ${what} cannot be asked`, async () => {
    const asked = { predicateType: "urn:assay:release:v1", withoutFile: true, ...change };
    const options = { ...(await pins()), ...asked };
    await assert.rejects(verifyBundle(read("bundle.json"), options), MisuseError);
  });
}

test("the hint of a bundle chooses the key, in either form", async () => {
  const key = await loadPublicKey(read("signer.pub"));
  assert.equal(await hintFor(key.spki), values.keys.signer.hint_claim);
  assert.equal(await omsHintFor(key.spki), values.keys.signer.hint_oms);
  const one = { fingerprint: key.fingerprint, role: "publisher", owner: "alice", index: 7 };
  const ring = await parseKeys(
    new TextEncoder().encode(JSON.stringify({ keys: [{ ...one, publicKey: key.pem }] })),
  );
  for (const hint of [values.keys.signer.hint_claim, values.keys.signer.hint_oms]) {
    assert.equal((await ring.find(hint)).owner, "alice");
  }
});

test("a tlog-proof shows an entry to be in the witnessed log", async () => {
  const leaf = new Uint8Array(Buffer.from(values.claims.release.leaf_hash, "hex"));
  const log = await VKey.parse(values.keys.log.vkey);
  const { policy } = await pins();
  const seen = await verifyTlogProof(read("entry.tlog-proof"), {
    ...{ leaf, origin: values.origin, log, policy },
  });
  assert.equal(seen.checkpoint.size, 259n);
  assert.equal(seen.witnesses.length, 2);
});
