// What a log entry is made of, read by the browser: keys, envelopes, bodies, bundles, receipts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeBase64, encodeBase64 } from "../../static/js/assay/base64.js";
import { parseBundle } from "../../static/js/assay/bundle.js";
import { canonicalJson } from "../../static/js/assay/canonical.js";
import { concat, fromHex, toHex } from "../../static/js/assay/digests.js";
import {
  checkEnvelope,
  loadPublicKey,
  parseCompact,
  parseEnvelope,
  parseRekorBody,
  rekorBody,
} from "../../static/js/assay/dsse.js";
import { FormatError, MisuseError, VerificationError } from "../../static/js/assay/errors.js";
import { leafHash } from "../../static/js/assay/merkle.js";
import { parseReceipt, parseTlogProof } from "../../static/js/assay/receipt.js";
import { bytes, json } from "./vectors.mjs";

const values = json("log/vectors.json");
const { held, rows } = json("js/verified.json");
const RECEIPT = decodeBase64(held[rows[0].fields.data]);
const encoder = new TextEncoder();
const read = (/** @type {string} */ name) => new Uint8Array(bytes(`log/${name}`));
const SPKI = fromHex(values.keys.signer.spki);
const PEM = bytes("log/signer.pub").toString();
const [HEAD, BODY, FOOT] = [
  "-----BEGIN PUBLIC KEY-----",
  encodeBase64(SPKI),
  "-----END PUBLIC KEY-----",
];
// The same point in the three forms that SEC 1 gives it.
const PREFIX = "301306072a8648ce3d020106082a8648ce3d030107";
const [X, Y] = [SPKI.slice(27, 59), SPKI.slice(59)];
const ODD = Y.at(-1) & 1;
const compressed = (parity) =>
  concat([fromHex(`3039${PREFIX}032200`), Uint8Array.of(2 + parity), X]);
const hybrid = (parity) =>
  concat([fromHex(`3059${PREFIX}034200`), Uint8Array.of(6 + parity), X, Y]);

for (const [what, spelled] of [
  ["PEM", PEM],
  ["PEM as bytes", encoder.encode(PEM)],
  ["PEM with other line ends", PEM.replaceAll("\n", "\r\n")],
  ["PEM on one line, with headers, and a text after it", `${HEAD}\nA: b\n\n${BODY}${FOOT} bye`],
  ["PEM after white space", ` \n\t${PEM}`],
  ["DER", SPKI],
  ["a compressed point", compressed(ODD)],
  ["a point in both forms", hybrid(ODD)],
]) {
  test(`alice's key is read from ${what}`, async () => {
    const key = await loadPublicKey(spelled);
    assert.equal(toHex(key.spki), values.keys.signer.spki);
    assert.equal(key.fingerprint, values.keys.signer.fingerprint);
    assert.equal(key.pem, PEM);
  });
}

test("the other compressed point is another key, on the curve", async () => {
  const key = await loadPublicKey(compressed(1 - ODD));
  assert.notEqual(key.fingerprint, values.keys.signer.fingerprint);
  assert.equal(toHex(key.spki.slice(0, 59)), toHex(SPKI.slice(0, 59)));
});

for (const [what, spelled] of [
  ["nothing", ""],
  ["a text", "hello\n"],
  ["a text before the PEM", `hello\n${PEM}`],
  ["PEM without an end", `${HEAD}\n${BODY}\n`],
  ["PEM with another end", `${HEAD}\n${BODY}\n-----END KEY-----\n`],
  ["PEM with a line that is no header", `${HEAD}\nno header\n\n${BODY}\n${FOOT}\n`],
  ["PEM in another alphabet", `${HEAD}\n${BODY.replaceAll("/", "_").replaceAll("+", "-")}*${FOOT}`],
  ["DER with a byte after it", concat([SPKI, Uint8Array.of(0)])],
  ["a point off the curve", concat([SPKI.slice(0, -1), Uint8Array.of(Y.at(-1) ^ 1)])],
  ["a point in both forms that disagree", hybrid(1 - ODD)],
  ["an x without a y", fromHex(`3039${PREFIX}03220002${"01".padStart(64, "0")}`)],
  ["the log's key, which is Ed25519", bytes("log/log.pub").toString()],
  ["a private key", bytes("log/signer.test-only.pem").toString()],
]) {
  test(`${what} is no key to verify with`, async () => {
    await assert.rejects(loadPublicKey(spelled), MisuseError);
  });
}

test("a private key is told to stay away", async () => {
  const key = bytes("log/signer.test-only.pem").toString();
  await assert.rejects(loadPublicKey(key), /keep that one away/);
});

test("the logged body is rebuilt from envelope and key, and read again", async () => {
  for (const name of ["bundle.json", "oms.bundle.json"]) {
    const { envelope, entry } = parseBundle(read(name));
    const body = await rekorBody(envelope, SPKI);
    assert.deepEqual(body, entry.body);
    const { paeSha256, signature, spki } = parseRekorBody(body);
    assert.deepEqual([signature, spki], [envelope.signature, SPKI]);
    const claim = name === "bundle.json" ? values.claims.release : values.claims.model_signing;
    if (claim) assert.equal(toHex(paeSha256), claim.pae_sha256);
  }
  const { entry } = parseBundle(read("bundle.json"));
  assert.equal(toHex(await leafHash(entry.body)), values.claims.release.leaf_hash);
});

test("a body in any other form is foreign", () => {
  const body = Buffer.from(parseBundle(read("bundle.json")).entry.body).toString();
  for (const lie of [
    ` ${body}`,
    `${body}\n`,
    body.replace("0.0.2", "0x0.2"),
    body.replace("SHA2_256", "SHA2_512"),
    body.replace('"digest":"', '"digest":"AAAA'),
    body.replace('"content":"', '"content":"AAAA'),
    body.replace('"content":"M', '"content":"*'),
    "",
  ]) {
    assert.throws(() => parseRekorBody(encoder.encode(lie)), FormatError, lie);
  }
});

test("the stored envelope is read, and verifies under its key alone", async () => {
  const envelope = parseEnvelope(canonicalJson(json("log/bundle.json").dsseEnvelope));
  await checkEnvelope(envelope, await loadPublicKey(PEM));
  const other = await loadPublicKey(fromHex(values.keys.mallory.spki));
  await assert.rejects(checkEnvelope(envelope, other), VerificationError);
  assert.equal(parseEnvelope({ ...json("log/bundle.json").dsseEnvelope }).keyid, "");
});

test("a compact receipt is read in its one spelling", () => {
  const { payload, signature } = parseBundle(RECEIPT).envelope;
  const url = (/** @type {Uint8Array} */ data) => Buffer.from(data).toString("base64url");
  const text = `${url(payload)}.${url(signature)}`;
  assert.deepEqual(parseCompact(text), parseBundle(RECEIPT).envelope);
  for (const lie of ["", ".", text.slice(0, -1), `${text}=`, `${text}.`, ` ${text}`, "YQ.YQ"]) {
    assert.throws(() => parseCompact(lie), FormatError, lie);
  }
});

test("a receipt is a bundle of an execution", async () => {
  const { bundle, statement, predicate } = await parseReceipt(RECEIPT);
  assert.equal(predicate.model, "alice/add");
  assert.equal(predicate.runtime.name, "onnxruntime-web");
  assert.deepEqual([...statement.digests], [predicate.output.sha256]);
  assert.equal(bundle.entry.inclusion.size, 4n);
  await assert.rejects(parseReceipt(read("bundle.json")), FormatError);
  await assert.rejects(parseReceipt(encoder.encode("{}")), FormatError);
});

test("a tlog-proof is read, with what is unsigned in it", () => {
  const text = bytes("log/entry.tlog-proof").toString();
  const proof = parseTlogProof(encoder.encode(text));
  assert.equal(proof.index, 256n);
  assert.equal(proof.extra, null);
  const more = text.replace("\nindex", "\nextra YQ==\nindex");
  assert.deepEqual(parseTlogProof(encoder.encode(more)).extra, Uint8Array.of(0x61));
  for (const lie of [
    text.replace("v1", "v2"),
    text.replace("index 256", "index 0256"),
    text.replace("index 256\n", ""),
    text.replace("index 256\n", "index 256\nAAAA\n"),
    text.replace("index 256", "index 256 "),
    text.replace("tlog-proof", "tlog\u2010proof"),
    text.replaceAll("\n\n", "\n"),
    text.split("\n\n")[0],
  ]) {
    assert.throws(() => parseTlogProof(encoder.encode(lie)), FormatError, lie);
  }
});

test("a number that a double would round is kept whole", () => {
  const bundle = json("log/bundle.json");
  const [entry] = bundle.verificationMaterial.tlogEntries;
  for (const value of ["9007199254740993", "9223372036854775807"]) {
    entry.logIndex = value;
    const { index } = parseBundle(encoder.encode(JSON.stringify(bundle))).entry;
    assert.equal(String(index), value);
  }
  entry.logIndex = "9223372036854775808";
  assert.throws(() => parseBundle(encoder.encode(JSON.stringify(bundle))), FormatError);
});
