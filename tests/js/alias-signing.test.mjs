import assert from "node:assert/strict";
import { test } from "node:test";

import { buildMove, checkMove } from "../../static/js/alias-signing.js";
import { json, text, utf8 } from "./vectors.mjs";

const made = json("js/assay.json");
const proposal = {
  observed: made.observed,
  model: made.model,
  alias: "production",
  version: "1.2.0",
  revision: made.revision,
  manifest: made.manifest,
  resources: made.resources,
  previous: null,
  previous_version: null,
};
const asked = { model: made.model, alias: "production", version: "1.2.0" };

async function failures(change, question = {}) {
  const findings = await checkMove({ ...proposal, ...change }, { ...asked, ...question });
  return findings.filter(({ state }) => state === "failed").map(({ words }) => words);
}

test("an honest proposal passes, and its statement is the verifier's bytes", async () => {
  const findings = await checkMove(proposal, asked);
  assert.deepEqual(
    findings.map(({ state }) => state),
    ["checked", "server"],
  );
  assert.match(findings[1].words, /nowhere: it is new/);
  assert.equal(utf8(buildMove(proposal)), text(made.statements.alias.payload));
});

test("the reader is told where the alias stands", async () => {
  const next = { ...proposal, previous: "ab".repeat(20), previous_version: "1.1.0" };
  const findings = await checkMove(next, { ...asked, alias: "Production" });
  assert.equal(findings.at(-1).words, "the alias stands at 1.1.0.");
  assert.equal(utf8(buildMove(next)), text(made.statements.alias_next.payload));
});

for (const [what, change, words] of [
  ["another model", { model: "mallory/net" }, /the model is mallory\/net/],
  ["another alias", { alias: "staging" }, /the alias is staging/],
  ["no alias", { alias: undefined }, /the alias is undefined/],
  ["another version", { version: "0.9.0" }, /the version is 0.9.0/],
  ["a move to where it stands", { previous: made.revision }, /stands there already/],
  ["another manifest", { manifest: "00".repeat(32) }, /the manifest digest is/],
  ["other files", { resources: made.resources.slice(1) }, /the manifest digest is/],
  ["files that no manifest has", { resources: [] }, /not one that can be signed/],
]) {
  test(`a lying server that proposes ${what} gets no signature`, async () => {
    const told = await failures(change);
    assert.equal(told.length, 1);
    assert.match(told[0], words);
  });
}
