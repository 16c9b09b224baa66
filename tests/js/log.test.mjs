// The log's formats: note, checkpoint, Merkle tree, policy. The corpus is the verifier's own.

import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeBase64 } from "../../static/js/assay/base64.js";
import { isOrigin, parseCheckpoint } from "../../static/js/assay/checkpoint.js";
import { concat, fromHex, toHex } from "../../static/js/assay/digests.js";
import {
  FormatError,
  MisuseError,
  VerificationError,
  family,
} from "../../static/js/assay/errors.js";
import {
  EMPTY_ROOT,
  checkConsistency,
  checkInclusion,
  leafHash,
  proveConsistency,
  proveInclusion,
  rootFrom,
  rootOf,
} from "../../static/js/assay/merkle.js";
import {
  COSIGNATURE,
  ED25519,
  VKey,
  cosignedMessage,
  logId,
  openNote,
  parseNote,
  sameVkey,
  verifyEd25519,
  vkeyFor,
} from "../../static/js/assay/note.js";
import { parsePolicy, verifyCheckpoint } from "../../static/js/assay/policy.js";
import { bytes, json, utf8 } from "./vectors.mjs";

const vectors = json("log/vectors.json");
const { keys, origin } = vectors;
const encoder = new TextEncoder();
const EXPECTED = { malformed: "malformed", refused: "refused", misuse: "usage" };

const artefact = ({ artefact: value }) =>
  typeof value === "string" ? encoder.encode(value) : decodeBase64(value.base64);
// JSON.parse would round the sizes that the corpus is about.
const exact = (row) =>
  JSON.parse(utf8(artefact(row)).replace(/(?<=[:,[])-?[0-9]+(?=[,\]}])/g, '"$&"'));
const hashes = (texts) => texts.map((text) => decodeBase64(text));
const logKey = () => VKey.parse(keys.log.vkey);
const pinned = () => parsePolicy(bytes("log/witness-policy.txt"));

async function believe(note, policy = pinned()) {
  return verifyCheckpoint(note, { origin, log: await logKey(), policy: await policy });
}

const CHECKS = {
  "note.open": async (row) => {
    const names = ["log", "witness1", "witness2", "witness3"];
    const texts = row.inputs?.vkeys ?? names.map((name) => keys[name].vkey);
    await openNote(artefact(row), await Promise.all(texts.map((text) => VKey.parse(text))));
  },
  "checkpoint.verify": (row) => believe(artefact(row)),
  "checkpoint.follow": async (row) => {
    const value = JSON.parse(utf8(artefact(row)));
    const [old, now] = await Promise.all(
      [value.remembered, value.new].map((text) => believe(encoder.encode(text))),
    );
    const [before, after] = [old.checkpoint, now.checkpoint];
    const proof = hashes(value.proof);
    await checkConsistency(before.size, before.root, after.size, after.root, proof);
  },
  "proof.inclusion": async (row) => {
    const { leaf, index, size, root, hashes: proof } = exact(row);
    const [first, last] = hashes([leaf, root]);
    await checkInclusion(first, BigInt(index), BigInt(size), hashes(proof), last);
  },
  "proof.consistency": async (row) => {
    const { oldSize, oldRoot, newSize, newRoot, hashes: proof } = exact(row);
    const [old, now] = hashes([oldRoot, newRoot]);
    await checkConsistency(BigInt(oldSize), old, BigInt(newSize), now, hashes(proof));
  },
  "policy.parse": (row) => parsePolicy(artefact(row)),
};

for (const row of json("log/forged.json").filter(({ check }) => check in CHECKS)) {
  test(`mallory is refused: ${row.name}`, async () => {
    await assert.rejects(CHECKS[row.check](row), (error) => {
      assert.equal(family(error), EXPECTED[row.expect], error.stack);
      return true;
    });
  });
}

for (const row of json("log/accepted.json").filter(({ check }) => check in CHECKS)) {
  test(`alice is believed although it looks odd: ${row.name}`, async () => {
    await CHECKS[row.check](row);
  });
}

test("an origin is a bare host name in lower case", () => {
  for (const [name, good] of [
    ["log/forged.json", false],
    ["log/accepted.json", true],
  ]) {
    for (const row of json(name).filter(({ check }) => check === "setting.origin")) {
      assert.equal(isOrigin(utf8(artefact(row))), good, row.name);
    }
  }
  assert.ok(!isOrigin("a".repeat(64)));
  assert.ok(!isOrigin(`${"a.".repeat(126)}ab`));
});

test("keys, ids and what a witness signs are those of the vectors", async () => {
  for (const [name, { vkey, public: raw, log_id: id }] of Object.entries(keys)) {
    if (!vkey) continue;
    const parsed = await VKey.parse(vkey);
    assert.equal(String(parsed), vkey, name);
    const made = await vkeyFor(parsed.name, fromHex(raw), parsed.kind);
    assert.ok(sameVkey(made, parsed));
    if (id) assert.equal(toHex(await logId(parsed.name, parsed.key)), id);
  }
  const { c2sp_vkey: example } = vectors.note_examples;
  assert.equal(String(await VKey.parse(example)), example);
  const { checkpoint } = await believe(bytes("log/checkpoint"));
  const signed = utf8(cosignedMessage(checkpoint.text, 1767225600n));
  assert.equal(signed, vectors.log.cosigned_message_w1);
});

test("mallory gets no verifier key", async () => {
  const { vkey } = keys.log;
  const [name, id, data] = vkey.split("+");
  for (const lie of [
    "",
    name,
    `${name}+${id}`,
    `${name}+${id.toUpperCase()}+${data}`,
    `${name}+00000000+${data}`,
    `other.example.org+${id}+${data}`,
    `+${id}+${data}`,
    ` ${vkey}`,
    `${vkey}\n`,
    `${vkey}=`,
    vkey.replace("AR", "AT"), // a type that is none here
    vkey.slice(0, -4),
    ...["\u0085", "\u00a0", "\u2003", "\u3000", "\u001f", "\ud800", " ", "\t"].map(
      (space) => `a${space}b+${id}+${data}`,
    ),
  ]) {
    await assert.rejects(VKey.parse(lie), FormatError, JSON.stringify(lie));
  }
  await assert.rejects(vkeyFor("a b", new Uint8Array(32), ED25519), MisuseError);
  await assert.rejects(vkeyFor("a", new Uint8Array(32), 2), MisuseError);
});

test("a name may hold what is no space to the verifier", async () => {
  for (const name of ["a\u007fb", "\ufeff", "\u200b", "\u{1f600}", "caf\u00e9"]) {
    const vkey = await vkeyFor(name, new Uint8Array(32), COSIGNATURE);
    assert.equal((await VKey.parse(String(vkey))).name, name);
  }
});

test("a note is read back as it was written, in its limits", () => {
  const note = parseNote(bytes("log/checkpoint"));
  assert.equal(note.lines.length, 3);
  assert.equal(note.lines[0].name, origin);
  assert.equal(parseCheckpoint(note.text).text, note.text);
  const line = "\u2014 a AAAAAAA=\n";
  assert.equal(parseNote(encoder.encode(`\n\nx\n\n${line.repeat(100)}`)).text, "\n\nx\n");
  assert.throws(() => parseNote(encoder.encode(`x\n\n${line.repeat(101)}`)), FormatError);
  const long = "x".repeat(10 ** 6 - encoder.encode(`\n\n${line}`).length);
  assert.equal(parseNote(encoder.encode(`${long}\n\n${line}`)).lines.length, 1);
  assert.throws(() => parseNote(encoder.encode(`${long}x\n\n${line}`)), FormatError);
});

test("the checkpoint of the vectors is verified, and says who cosigned it when", async () => {
  const note = bytes("log/checkpoint");
  const verified = await believe(note);
  assert.equal(verified.checkpoint.size, 259n);
  assert.equal(toHex(verified.checkpoint.root), vectors.log.root);
  assert.deepEqual(verified.witnesses, [
    { name: keys.witness1.name, time: 1767225600n },
    { name: keys.witness2.name, time: verified.witnesses[1].time },
  ]);
  assert.equal(verified.witnessedAt, 1767225600n);
  assert.equal(verified.note, note);
  assert.ok(Object.isFrozen(verified) && Object.isFrozen(verified.witnesses[0]));
  const alone = await believe(note, null);
  assert.deepEqual([alone.witnesses, alone.witnessedAt], [[], null]);
});

test("a checkpoint is asked for under the name of a log's key only", async () => {
  const note = bytes("log/checkpoint");
  const witness = await VKey.parse(keys.witness1.vkey);
  const other = await VKey.parse(keys.other_log.vkey);
  for (const [log, name] of [
    [witness, witness.name],
    [await logKey(), "other.example.org"],
  ]) {
    await assert.rejects(verifyCheckpoint(note, { origin: name, log }), MisuseError);
  }
  const asked = { origin: other.name, log: other };
  await assert.rejects(verifyCheckpoint(note, asked), VerificationError);
  const stranger = await parsePolicy(`log ${other}\nquorum none\n`);
  await assert.rejects(believe(note, stranger), /does not name the log/);
});

test("32 bytes that are no point sign nothing", async () => {
  const none = new Uint8Array(32).fill(0xff);
  assert.equal(await verifyEd25519(none, new Uint8Array(64), new Uint8Array()), false);
  assert.equal(await verifyEd25519(fromHex(keys.log.public), new Uint8Array(3), none), false);
});

test("a quorum counts each group's members, none asks for nobody", async () => {
  const policy = await pinned();
  assert.ok(policy.quorumMet(["w1", "w3"]));
  assert.ok(!policy.quorumMet(["w1", "w1", "nobody"]));
  assert.ok((await parsePolicy("quorum none\n")).quorumMet([]));
  const lines = ["1", "2", "3"].map((n) => `witness w${n} ${keys[`witness${n}`].vkey}`);
  const groups = ["group g all w1 w2", "group top any g w3", "quorum top", ""];
  const nested = await parsePolicy([...lines, ...groups].join("\n"));
  assert.ok(nested.quorumMet(["w3"]) && nested.quorumMet(["w1", "w2"]));
  assert.ok(!nested.quorumMet(["w1"]));
  assert.deepEqual([...nested.groups.keys()], ["g", "top"]);
  assert.equal(nested.groups.get("g").threshold, 2);
});

test("names of a policy are bytes", async () => {
  const line = (name, index) => [
    encoder.encode("witness "),
    Uint8Array.from(name),
    encoder.encode(` ${keys[`witness${index + 1}`].vkey}\n`),
  ];
  const data = (...names) => concat([...names.flatMap(line), encoder.encode("quorum none\n")]);
  const two = await parsePolicy(data([0xff], [0xfe]));
  assert.equal(two.witnesses.size, 2);
  assert.ok((await parsePolicy(data([0xc3, 0xa9]))).witnesses.has("\u00e9"));
  await assert.rejects(parsePolicy(data([0xff], [0xff])), FormatError);
  for (const lie of [[0x0b], [0x00], [0x7f], [0x0d]]) {
    await assert.rejects(parsePolicy(data(lie)), FormatError);
  }
  const long = Uint8Array.from({ length: 2 ** 18 - 1 }, () => 0xff);
  await assert.rejects(parsePolicy(concat([long, encoder.encode("\n")])), /line 1: not a line/);
  await assert.rejects(parsePolicy("#".repeat(2 ** 18) + "\n"), FormatError);
  await assert.rejects(parsePolicy("quorum none"), FormatError);
  await assert.rejects(parsePolicy(`log ${keys.witness1.vkey}\nquorum none\n`), FormatError);
});

/** Complete subtrees over `leaf 0`, `leaf 1`, …, worked out from the leaves. */
function reader(leaves) {
  return {
    read: (level, index) => rootOf(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)),
  };
}

test("roots and proofs are those of RFC 6962", async () => {
  const { rfc6962 } = vectors;
  const leaves = await Promise.all(
    Array.from({ length: 300 }, (_, index) => leafHash(encoder.encode(`leaf ${index}`))),
  );
  assert.equal(toHex(await leafHash(new Uint8Array())), rfc6962.leaf_hash_of_empty);
  assert.equal(await rootOf([]), EMPTY_ROOT);
  for (const [size, root] of Object.entries(rfc6962.roots)) {
    assert.equal(toHex(await rootOf(leaves.slice(0, size))), root, size);
    assert.equal(toHex(await rootFrom(BigInt(size), reader(leaves))), root, size);
  }
  for (const { index, size, hashes: proof } of rfc6962.inclusion) {
    const root = await rootOf(leaves.slice(0, size));
    const found = await proveInclusion(index, size, reader(leaves));
    assert.deepEqual(found.map(toHex), proof);
    await checkInclusion(leaves[index], BigInt(index), BigInt(size), found, root);
  }
  for (const { old, new: size, hashes: proof } of rfc6962.consistency) {
    const [before, after] = await Promise.all([old, size].map((n) => rootOf(leaves.slice(0, n))));
    const found = await proveConsistency(old, size, reader(leaves));
    assert.deepEqual(found.map(toHex), proof);
    await checkConsistency(BigInt(old), before, BigInt(size), after, found);
  }
});

test("a proof that no tree has is not asked for", async () => {
  const none = reader([]);
  await assert.rejects(proveInclusion(3n, 3n, none), MisuseError);
  await assert.rejects(proveInclusion(-1, 3, none), MisuseError);
  await assert.rejects(proveConsistency(4n, 3n, none), MisuseError);
  await assert.rejects(proveConsistency(-1, 3, none), MisuseError);
});

test("numbers and hashes outside the format are malformed, whatever they would prove", async () => {
  const hash = EMPTY_ROOT;
  for (const [index, size] of [
    [-1n, 2n],
    [0n, 2n ** 63n],
    [0.5, 2],
    [0, 2 ** 53],
  ]) {
    await assert.rejects(checkInclusion(hash, index, size, [hash], hash), FormatError);
  }
  const many = Array.from({ length: 64 }, () => hash);
  await assert.rejects(checkInclusion(hash, 0n, 1n, many, hash), FormatError);
  await assert.rejects(checkInclusion(hash.slice(1), 0n, 1n, [], hash), FormatError);
  await assert.rejects(checkInclusion(hash, 0n, 1n, [], hash.slice(1)), FormatError);
  await assert.rejects(checkConsistency(0n, hash, 1n, hash, [hash.slice(1)]), FormatError);
  const large = checkInclusion(hash, 2n ** 62n, 2n ** 63n - 1n, [], hash);
  await assert.rejects(large, VerificationError);
});
