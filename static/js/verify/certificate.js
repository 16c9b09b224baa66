// What was checked here, to keep: a JSON file, and the same on paper. It is nobody's signature, only
// a list that says what to repeat.

import { sha256Hex, toHex } from "../assay/digests.js";

const NOTE =
  "A list of what one browser checked, signed by nobody. To rely on it, repeat the check: the " +
  "receipt, the keys and the witness policy are named by their digests.";

/**
 * Return the certificate of a check.
 *
 * @param {object} given
 * @param {import("./flow.js").Outcome} given.outcome
 * @param {import("./plan.js").Plan} given.plan
 * @param {Uint8Array} given.receipt
 * @param {{site: string, browser: string, at: Date}} given.where
 * @returns {Promise<Record<string, any>>} plain values, for JSON
 */
export async function certificateOf({ outcome, plan, receipt, where }) {
  const { verified, said, trust } = outcome;
  const texts = Object.entries(trust?.texts ?? {});
  const believed = await Promise.all(texts.map(([name, text]) => documentOf(name, text, trust)));
  return {
    certificate: "of a check in a browser, not signed",
    note: NOTE,
    verdict: plan.verdict,
    checkedAt: where.at.toISOString(),
    checkedOn: where.site,
    browser: where.browser,
    receipt: { sha256: await sha256Hex(receipt), bytes: receipt.length, type: said.kind },
    ...(verified ? { claim: claimOf(verified, said) } : {}),
    believed,
    steps: plan.steps.map(({ id, title, state, detail, expected, found }) => ({
      ...{ step: id, title, state, detail },
      ...(expected === undefined ? {} : { expected, found }),
    })),
  };
}

async function documentOf(document, text, { from }) {
  const sha256 = await sha256Hex(new TextEncoder().encode(text));
  return { document, from: from[document], sha256 };
}

function claimOf({ key, signer, registered, index, checkpoint }, { execution }) {
  const { origin, size, root } = checkpoint.checkpoint;
  return {
    key: key.fingerprint,
    role: signer.role,
    owner: signer.owner,
    registered,
    index: String(index),
    log: origin,
    tree: { size: String(size), root: toHex(root) },
    witnesses: checkpoint.witnesses.map(({ name, time }) => ({ name, time: instant(time) })),
    ...(execution ? { execution: executionOf(execution) } : {}),
  };
}

function executionOf({ execution, model, revision, manifest, graph, input, output, runtime }) {
  return {
    ...{ execution, model, revision, manifest, graph, input, output },
    runtime: { name: runtime.name, version: runtime.version, digest: runtime.digest },
  };
}

function instant(seconds) {
  return new Date(Number(seconds) * 1000).toISOString();
}

/**
 * Return what a certificate says, as pairs for people.
 *
 * @param {Record<string, any>} certificate
 * @returns {[string, string][]}
 */
export function factsOf({ checkedAt, checkedOn, receipt, claim, believed }) {
  const facts = [
    ["Checked", `${checkedAt.slice(0, 19).replace("T", " ")} UTC on ${checkedOn}`],
    ["Receipt", `SHA-256 ${receipt.sha256}, ${receipt.bytes} bytes`],
    ["Says", receipt.type || "unreadable"],
  ];
  if (claim) {
    const owner = claim.owner ? ` of ${claim.owner}` : "";
    const seen = claim.witnesses.map(({ name, time }) => `${name} at ${time}`).join(", ");
    facts.push(["Signed by", `${claim.role || "a key"}${owner}, key ${claim.key}`]);
    facts.push(["Logged", `entry ${claim.index} of ${claim.tree.size} in ${claim.log}`]);
    facts.push(["Root", claim.tree.root], ["Witnessed", seen || "by nobody"]);
  }
  if (claim?.execution) facts.push(...executionFacts(claim.execution));
  for (const { document, from, sha256 } of believed) {
    facts.push([WORDS[document] ?? document, `SHA-256 ${sha256} (${FROM[from] ?? from})`]);
  }
  return facts;
}

const WORDS = { trustedRoot: "Trusted root", policy: "Witness policy", keys: "List of keys" };
const FROM = { yours: "your file", site: "told by this site", kept: "kept in this browser" };

function executionFacts({ execution, model, revision, graph, input, output, runtime }) {
  return [
    ["Execution", execution],
    ["Model", `${model} at ${revision}`],
    ["Graph", `${graph.path}, SHA-256 ${graph.sha256}`],
    ["Input", `${input.form} ${input.sha256}`],
    ["Output", `${output.form} ${output.sha256}`],
    ["Runtime", `${runtime.name} ${runtime.version}, digest ${runtime.digest}`],
  ];
}
