// The browser's verifier as a program: one question a line in, one verdict a line out.
//
//     node tests/js/verdict.mjs < questions.jsonl > verdicts.jsonl
//
// A question is {"id", "kind", "data", …, "options"}: `data` and every other named field hold bytes
// in standard base64, `options` plain JSON. A field that is absent or null is not given to the
// verifier. A verdict is {"id", "family", "reason"}, in the order of the questions:
//
//     family   "ok", "usage", "malformed", "refused", "split view", "could not check", or
//              "crash": the verifier threw what is none of its errors. Always a bug of ours.
//     reason   the error's words; "" for "ok".
//
// The question itself must be well-formed (JSON, a known kind, base64): else this program ends with
// status 1, and that is a mistake of the test. Anything wrong *inside* a field is the verifier's to
// judge, so a field that several kinds take is read in this order, and the first error is the
// verdict: trustedRoot, policy, keys, key, vkey(s), remembered, knownTo, manifest, data. With
// `keys` the hint in `data` chooses the key, so `data` is parsed with it.
//
//     kind          asks                                    fields beside `data`
//     receipt       verifyReceipt                           CLAIM; input, inputSalt, output,
//                                                           outputSalt
//     bundle        verifyBundle                            CLAIM; manifest, file
//     oms           verifyBundle, type OMS                  CLAIM; manifest
//     alias         verifyAlias                             CLAIM; manifest
//     registration  verifyReceipt of `claim` with `data`    CLAIM; claim (a receipt); `data` is the
//                   as the registration of its key          bundle of the key's registration entry
//     checkpoint    verifyCheckpoint                        trustedRoot, policy
//     cosignature   openNote with the vkeys                 none
//     note          openNote; parseNote without vkeys       none
//     tlog-proof    verifyTlogProof; parse without leaf     leaf (32 bytes), trustedRoot, policy
//     inclusion     checkInclusion                          data is JSON, as in forged.json
//     consistency   checkConsistency                        data is JSON, as in forged.json
//     statement     parseStatement                          none
//     predicate     parseStatement, then parsePredicate     none
//     manifest      parseManifest                           none
//     tensors       decodeTensors                           none
//     policy        parsePolicy                             none
//     trusted-root  parseTrustedRoot                        none
//     keys          parseKeys                               none
//     envelope      parseEnvelope; checkEnvelope with key   key
//     entry         parseRekorBody                          none
//     runtime       readRuntime of strict JSON              none
//     vkey          VKey.parse of UTF-8 text                none
//     key           loadPublicKey                           none
//     compact       parseCompact of UTF-8 text              none
//     split-view    parseSplitView; checkSplitView with options.vkey
//     json          parseJson                               none
//
// CLAIM, what the reader of a signed and logged claim holds:
//
//     key           the public key, SPKI in PEM or DER, trusted for whatever it signs; or
//     keys          the document /keys.json: the key is the one that the bundle's hint names
//     trustedRoot   Sigstore TrustedRoot v0.1
//     policy        tlog-policy; absent: no witness is asked for
//     remembered    a signed checkpoint, verified under trustedRoot and policy before it is used
//     registration  the bundle of the key's own registration entry; absent: the list is believed
//     knownTo       the newest signed checkpoint that the reader has, verified like `remembered`
//
// Options:
//
//     parseOnly        receipt, bundle, oms, alias: parse (parseReceipt, parseBundle), no more
//     predicateType    bundle: the type asked for ("urn:assay:release:v1" when absent)
//     fileSha256       bundle: the hex SHA-256 of the file, in place of `file`
//     withoutFile      bundle, oms: true for the signature and the log only
//     consistency      kinds of a CLAIM: the proof to or from `remembered`, base64 hashes; absent:
//                      no source of proofs
//     trusted          with `key`: what the reader's own list says of that key, any of {"role",
//                      "owner", "index", "revoked", "log", "revokedLog"}
//     origin, vkey     checkpoint, tlog-proof: the log; absent: the first of trustedRoot
//     vkeys            note, cosignature: the keys, as texts
//     steps            kinds of a CLAIM: the verdict also has "steps", those that passed:
//                      [{"number", "name", "detail"}]
//     now, maxAge      step 14: POSIX seconds, and seconds; null or absent: not given

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

import { decodeBase64 } from "../../static/js/assay/base64.js";
import { parseBundle } from "../../static/js/assay/bundle.js";
import { parseJson } from "../../static/js/assay/canonical.js";
import { sha256Hex } from "../../static/js/assay/digests.js";
import {
  checkEnvelope,
  loadPublicKey,
  parseCompact,
  parseEnvelope,
  parseRekorBody,
} from "../../static/js/assay/dsse.js";
import { family } from "../../static/js/assay/errors.js";
import { TrustedKey, parseKeys } from "../../static/js/assay/keys.js";
import { OMS, parseManifest } from "../../static/js/assay/manifest.js";
import { checkConsistency, checkInclusion } from "../../static/js/assay/merkle.js";
import { VKey, openNote, parseNote } from "../../static/js/assay/note.js";
import { parsePolicy, parseTrustedRoot, verifyCheckpoint } from "../../static/js/assay/policy.js";
import { parseReceipt, parseTlogProof } from "../../static/js/assay/receipt.js";
import { checkSplitView, parseSplitView } from "../../static/js/assay/splitview.js";
import {
  RELEASE,
  parsePredicate,
  parseStatement,
  readRuntime,
} from "../../static/js/assay/statements/index.js";
import { decodeTensors } from "../../static/js/assay/tensors.js";
import {
  Policy,
  verifyAlias,
  verifyBundle,
  verifyReceipt,
  verifyTlogProof,
} from "../../static/js/assay/verify/index.js";

/** @typedef {import("../../static/js/assay/verify/steps.js").Step} Step */
/**
 * @typedef {Record<string, any> & {kind: string, data: Uint8Array, options: Record<string, any>,
 *   steps: Step[]}} Question
 */

const utf8 = (/** @type {Uint8Array} */ data) => Buffer.from(data).toString("utf8");
const unbase64 = (/** @type {string} */ text) => new Uint8Array(Buffer.from(text, "base64"));

/** @type {Record<string, (asked: Question) => unknown>} */
const KINDS = {
  receipt: (asked) => (asked.options.parseOnly ? parseReceipt(asked.data) : receipt(asked)),
  bundle: (asked) => bundle(asked, RELEASE),
  oms: (asked) => bundle(asked, OMS),
  alias,
  registration: (asked) => receipt({ ...asked, data: asked.claim, registration: asked.data }),
  checkpoint,
  cosignature: note,
  note,
  "tlog-proof": tlogProof,
  inclusion,
  consistency,
  statement: ({ data }) => parseStatement(data),
  predicate: ({ data }) => parsePredicate(parseStatement(data)),
  manifest: ({ data }) => parseManifest(data),
  tensors: ({ data }) => decodeTensors(data),
  policy: ({ data }) => parsePolicy(data),
  "trusted-root": ({ data }) => parseTrustedRoot(data),
  keys: ({ data }) => parseKeys(data),
  envelope,
  entry: ({ data }) => parseRekorBody(data),
  runtime: ({ data }) => readRuntime(parseJson(data), ""),
  vkey: ({ data }) => VKey.parse(utf8(data)),
  key: ({ data }) => loadPublicKey(data),
  compact: ({ data }) => parseCompact(utf8(data)),
  "split-view": splitView,
  json: ({ data }) => parseJson(data),
};

/**
 * Return the verdict on a question.
 *
 * @param {any} line as the head of this file says
 * @returns {Promise<{id: unknown, family: string, reason: string, steps?: Step[]}>}
 */
export async function verdict(line) {
  const { id } = line;
  const answer = KINDS[line.kind];
  if (!answer) throw new Error(`no kind ${line.kind}`);
  const asked = read(line);
  const told = asked.options.steps ? { steps: asked.steps } : {};
  try {
    await answer(asked);
    return { id, family: "ok", reason: "", ...told };
  } catch (error) {
    const word = family(error);
    const reason = word ? error.message : String(error.stack);
    return { id, family: word ?? "crash", reason, ...told };
  }
}

function read({ id: _, kind, options = {}, ...fields }) {
  const given = Object.entries(fields).filter(([, value]) => value !== null);
  const bytes = given.map(([name, value]) => [name, decodeBase64(value, name)]);
  return { ...Object.fromEntries(bytes), kind, options, steps: [] };
}

async function receipt(asked) {
  const { input, inputSalt, output, outputSalt } = asked;
  return verifyReceipt(asked.data, {
    ...(await reader(asked)),
    ...{ input, inputSalt, output, outputSalt },
  });
}

async function bundle(asked, predicateType) {
  const { options, data, file } = asked;
  if (options.parseOnly) return parseBundle(data);
  const held = await reader(asked);
  return verifyBundle(data, {
    ...held,
    predicateType: options.predicateType ?? predicateType,
    fileSha256: file ? await sha256Hex(file) : options.fileSha256,
    withoutFile: options.withoutFile ?? false,
  });
}

async function alias(asked) {
  if (asked.options.parseOnly) return parseBundle(asked.data);
  return verifyAlias(asked.data, await reader(asked));
}

/** Return what the reader of a claim holds. */
async function reader(asked) {
  const { options, data } = asked;
  const trustedRoot = await parseTrustedRoot(asked.trustedRoot);
  const witnesses = asked.policy ? await parsePolicy(asked.policy) : null;
  const keys = asked.keys ? await parseKeys(asked.keys) : undefined;
  const key = keys ? await keys.find(parseBundle(data).hint) : await keyOf(asked);
  const [log] = trustedRoot.logs;
  const pins = { origin: log.origin, log: log.vkey, policy: witnesses };
  const believe = (signed) => (signed ? verifyCheckpoint(signed, pins) : null);
  const remembered = await believe(asked.remembered);
  const knownTo = await believe(asked.knownTo);
  return {
    key,
    trustedRoot,
    policy: new Policy({ witnesses, keys, maxAge: options.maxAge, now: options.now, knownTo }),
    registration: asked.registration,
    remembered,
    consistency: options.consistency && (() => options.consistency.map(unbase64)),
    manifest: asked.manifest && parseManifest(asked.manifest),
    onStep: (step) => asked.steps.push(step),
  };
}

async function keyOf({ key, options }) {
  const loaded = await loadPublicKey(key);
  return options.trusted ? new TrustedKey({ key: loaded, ...options.trusted }) : loaded;
}

async function logOf({ trustedRoot, options }) {
  if (options.vkey) {
    const log = await VKey.parse(options.vkey);
    return { log, origin: options.origin ?? log.name };
  }
  const [log] = (await parseTrustedRoot(trustedRoot)).logs;
  return { log: log.vkey, origin: options.origin ?? log.origin };
}

async function checkpoint(asked) {
  const policy = asked.policy ? await parsePolicy(asked.policy) : null;
  return verifyCheckpoint(asked.data, { ...(await logOf(asked)), policy });
}

async function note({ data, options }) {
  if (!options.vkeys) return parseNote(data);
  return openNote(data, await Promise.all(options.vkeys.map((text) => VKey.parse(text))));
}

async function tlogProof(asked) {
  if (!asked.leaf) return parseTlogProof(asked.data);
  const policy = asked.policy ? await parsePolicy(asked.policy) : null;
  return verifyTlogProof(asked.data, { leaf: asked.leaf, ...(await logOf(asked)), policy });
}

async function inclusion({ data }) {
  const { leaf, root, index, size, hashes } = JSON.parse(utf8(data));
  return checkInclusion(unbase64(leaf), index, size, hashes.map(unbase64), unbase64(root));
}

async function consistency({ data }) {
  const { oldSize, oldRoot, newSize, newRoot, hashes } = JSON.parse(utf8(data));
  const [before, after] = [oldRoot, newRoot].map(unbase64);
  return checkConsistency(oldSize, before, newSize, after, hashes.map(unbase64));
}

async function envelope({ data, key }) {
  const parsed = parseEnvelope(data);
  if (key) await checkEnvelope(parsed, await loadPublicKey(key));
}

async function splitView({ data, options }) {
  const log = options.vkey ? await VKey.parse(options.vkey) : null;
  const evidence = parseSplitView(data);
  if (log) await checkSplitView(evidence, log);
}

async function main() {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line) process.stdout.write(`${JSON.stringify(await verdict(JSON.parse(line)))}\n`);
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
