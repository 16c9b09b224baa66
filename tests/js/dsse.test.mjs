import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeBase64, encodeBase64 } from "../../static/js/assay/base64.js";
import { fromHex, toHex } from "../../static/js/assay/digests.js";
import {
  P256,
  derToRaw,
  envelopeJson,
  fingerprint,
  pae,
  paeSha256,
  publicKeyPem,
  rawToDer,
  signEnvelope,
  verifyEnvelope,
} from "../../static/js/assay/dsse.js";
import { FormatError, VerificationError } from "../../static/js/assay/errors.js";
import { bytes, json, utf8 } from "./vectors.mjs";

const vectors = json("log/vectors.json");
const bundle = json("log/bundle.json");
const signer = fromHex(vectors.keys.signer.spki);
const mallory = fromHex(vectors.keys.mallory.spki);

async function newKey() {
  const pair = await crypto.subtle.generateKey(P256, false, ["sign", "verify"]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  return { privateKey: pair.privateKey, spki };
}

test("the PAE of both logged claims is the vectors'", async () => {
  for (const [file, claim] of [
    ["log/bundle.json", vectors.claims.release],
    ["log/oms.bundle.json", vectors.claims.oms ?? vectors.claims.model_signing],
  ]) {
    const payload = decodeBase64(json(file).dsseEnvelope.payload);
    assert.equal(encodeBase64(pae(payload)), claim.pae_base64, file);
    assert.equal(await paeSha256(payload), claim.pae_sha256, file);
  }
});

test("the length in a PAE counts bytes, not letters", () => {
  const payload = new TextEncoder().encode("\u00e9");
  assert.equal(utf8(pae(payload, "t")), "DSSEv1 1 t 2 \u00e9");
});

for (const { raw, der } of vectors.ecdsa_der) {
  test(`r || s ${raw.slice(0, 12)}… and its DER turn into each other`, () => {
    assert.equal(toHex(rawToDer(fromHex(raw))), der);
    assert.equal(toHex(derToRaw(fromHex(der))), raw);
  });
}

test("mallory's second spellings of a signature are refused", () => {
  const { der } = vectors.ecdsa_der[3]; // 30 07 02 01 7f 02 02 00 80
  const lies = [
    `${der}00`, // a byte after the end
    "300802017f0203000080", // a zero too many
    "308107".concat(der.slice(4)), // a long length for a short one
    "300602017f020180", // a negative s
    "3007020100".concat("02020080"), // r is zero
    "", // nothing
    "30",
    "30060201", // cut off
    vectors.ecdsa_der[0].raw, // r || s itself
  ];
  for (const lie of lies) assert.throws(() => derToRaw(fromHex(lie)), FormatError, lie);
});

test("a number that P-256 does not have is refused", () => {
  const order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
  for (const raw of [order + "01".padStart(64, "0"), "00".repeat(64), "11".repeat(63)]) {
    assert.throws(() => rawToDer(fromHex(raw)), FormatError);
  }
});

test("the publisher's logged envelope verifies under her key and under no other", async () => {
  const payload = await verifyEnvelope(bundle.dsseEnvelope, signer);
  assert.equal(JSON.parse(utf8(payload)).predicateType, "urn:assay:release:v1");
  await assert.rejects(verifyEnvelope(bundle.dsseEnvelope, mallory), VerificationError);
});

test("an altered payload, type, key id or number of signatures is refused", async () => {
  const good = bundle.dsseEnvelope;
  const { sig } = good.signatures[0];
  const other = encodeBase64(new TextEncoder().encode("{}"));
  for (const [lie, family] of [
    [{ ...good, payload: other }, VerificationError],
    [{ ...good, payloadType: "text/plain" }, VerificationError],
    [{ ...good, signatures: [{ sig, keyid: "me" }] }, VerificationError],
    [{ ...good, signatures: [{ sig }, { sig }] }, FormatError],
    [{ ...good, signatures: [] }, FormatError],
    [null, FormatError],
  ]) {
    await assert.rejects(verifyEnvelope(lie, signer), family);
  }
});

test("alice's browser signs an envelope that verifies", async () => {
  const alice = await newKey();
  const payload = new TextEncoder().encode('{"_type":"x"}');
  const envelope = await signEnvelope(payload, alice.privateKey);
  assert.deepEqual(await verifyEnvelope(envelope, alice.spki), payload);
  assert.deepEqual(Object.keys(envelope).sort(), ["payload", "payloadType", "signatures"]);
  assert.deepEqual(Object.keys(envelope.signatures[0]), ["sig"]);
});

test("an envelope is written as the log stores it", () => {
  const { payload, signatures } = bundle.dsseEnvelope;
  const made = envelopeJson(decodeBase64(payload), decodeBase64(signatures[0].sig));
  assert.deepEqual(made, bundle.dsseEnvelope);
});

test("fingerprint and PEM are those of the vectors", async () => {
  assert.equal(await fingerprint(signer), vectors.keys.signer.fingerprint);
  assert.equal(publicKeyPem(signer), bytes("log/signer.pub").toString());
});
