// Every lie of the log's corpus gets its family from the browser's verifier, and every odd truth
// is accepted: tests/assay/test_forged_bundles.py and test_forged_log.py ask the same of Python.

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseCheckpoint, isOrigin } from "../../static/js/assay/checkpoint.js";
import { SplitViewError, VerificationError, family } from "../../static/js/assay/errors.js";
import { checkConsistency, rootFrom } from "../../static/js/assay/merkle.js";
import { VKey, parseNote } from "../../static/js/assay/note.js";
import { parsePolicy, verifyCheckpoint } from "../../static/js/assay/policy.js";
import { TileReader } from "../../static/js/assay/tiles.js";
import { FAMILY, artefact, question, rowsOf } from "./corpus.mjs";
import { verdict } from "./verdict.mjs";
import { bytes, json } from "./vectors.mjs";

const values = json("log/vectors.json");
// A browser reads no symbolic link and no lone file as a folder: such never reach the verifier.
const NO_FOLDER = ["folder-symlink-added", "folder-is-a-file"];
// The log's and the witness's side: paths of tiles that are asked of a server, entries of a tile,
// checkpoints that a witness is asked to sign. No page answers for these.
const SERVERS = { forged: 12 + 4 + 13, accepted: 4 + 3 };

async function believe(note) {
  const policy = await parsePolicy(bytes("log/witness-policy.txt"));
  const log = await VKey.parse(values.keys.log.vkey);
  return verifyCheckpoint(new TextEncoder().encode(note), { origin: values.origin, log, policy });
}

async function follow(row) {
  const { remembered, new: recent, proof } = JSON.parse(row.artefact);
  const [old, next] = [await believe(remembered), await believe(recent)].map((v) => v.checkpoint);
  const hashes = proof.map((text) => new Uint8Array(Buffer.from(text, "base64")));
  await checkConsistency(old.size, old.root, next.size, next.root, hashes);
}

async function rebuild(row) {
  const swapped = new Uint8Array(Buffer.from(artefact(row), "base64"));
  const source = async (path) =>
    path.startsWith("tile/0/001") ? swapped : new Uint8Array(bytes(`log/${path}`));
  const { size, root } = parseCheckpoint(parseNote(new Uint8Array(bytes("log/checkpoint"))).text);
  const found = await rootFrom(size, new TileReader(source, Number(size)));
  if (Buffer.compare(found, root)) throw new VerificationError("the tiles give another root");
}

const OTHERS = { "checkpoint.follow": follow, "tile.hashes": rebuild };

async function judge(row) {
  const asked = await question(row);
  if (asked) return verdict(asked);
  try {
    await OTHERS[row.check](row);
    return { family: "ok", reason: "" };
  } catch (error) {
    return { family: family(error) ?? "crash", reason: error.stack, error };
  }
}

function judged(corpus) {
  const rows = rowsOf(corpus).filter(({ name }) => !NO_FOLDER.includes(name));
  const asked = rows.filter(({ check }) => !/^(?:tile\.path|tile\.entries|witness)/.test(check));
  assert.equal(rows.length - asked.length, SERVERS[corpus]);
  return asked.filter(({ check }) => check !== "setting.origin");
}

for (const row of judged("forged")) {
  test(`mallory is refused: ${row.name}`, async () => {
    const { family: found, reason, error } = await judge(row);
    const split = error instanceof SplitViewError ? "refused" : found;
    assert.equal(split, FAMILY[row.expect], reason);
    assert.notEqual(reason, "");
  });
}

for (const row of judged("accepted")) {
  test(`alice is believed although it looks odd: ${row.name}`, async () => {
    const { family: found, reason } = await judge(row);
    assert.equal(found, "ok", reason);
  });
}

test("the settings of an origin are told apart", () => {
  for (const corpus of ["forged", "accepted"]) {
    for (const row of rowsOf(corpus).filter(({ check }) => check === "setting.origin")) {
      assert.equal(isOrigin(row.artefact), corpus === "accepted", row.name);
    }
  }
});
