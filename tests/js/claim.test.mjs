import assert from "node:assert/strict";
import { test } from "node:test";

import { sha256Hex } from "../../static/js/assay/digests.js";
import { loadPublicKey } from "../../static/js/assay/dsse.js";
import { VerificationError } from "../../static/js/assay/errors.js";
import { parsePolicy, parseTrustedRoot } from "../../static/js/assay/policy.js";
import { KeyRing, Policy, TrustedKey } from "../../static/js/assay/verify/index.js";
import { TITLES, checkClaim, orderOf, readClaim } from "../../static/js/check/claim.js";
import { bytes } from "./vectors.mjs";

const RELEASE = "urn:assay:release:v1";
const data = (name) => new Uint8Array(bytes(`log/${name}`));

async function question(changes = {}) {
  const key = new TrustedKey({ key: await loadPublicKey(data("signer.pub")) });
  return {
    ...{ data: data("bundle.json"), predicateType: RELEASE, key },
    trustedRoot: await parseTrustedRoot(data("trusted_root.json")),
    policy: new Policy({ witnesses: await parsePolicy(data("witness-policy.txt")) }),
    ...changes,
  };
}

test("alice's release passes every step that its type has, in order", async () => {
  const seen = [];
  const fileSha256 = await sha256Hex(data("model.onnx"));
  const outcome = await checkClaim(await question({ fileSha256 }), ({ number }) =>
    seen.push(number),
  );
  assert.deepEqual([outcome.failed, outcome.error], [0, null]);
  assert.deepEqual(seen, orderOf(RELEASE));
  assert.equal(outcome.verified.index, 256n);
  assert.ok(orderOf(RELEASE).every((number) => TITLES[number]));
});

test("mallory's file fails where files are compared, and the steps before stand", async () => {
  const fileSha256 = await sha256Hex(data("bundle.json"));
  const { failed, error, steps, verified } = await checkClaim(await question({ fileSha256 }));
  assert.equal(failed, 11);
  assert.equal(verified, null);
  assert.equal(error.found, fileSha256);
  assert.deepEqual(steps.map(({ number }) => number), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test("a claim of another type, a cut bundle and a question that cannot be asked say where", async () => {
  const other = await checkClaim(await question({ predicateType: "urn:assay:card:v1" }));
  assert.equal(other.failed, 10);
  const cut = await checkClaim(await question({ data: data("bundle.json").subarray(0, 99) }));
  assert.deepEqual([cut.failed, cut.error.name], [2, "FormatError"]);
  const none = await checkClaim(await question({ predicateType: "" }));
  assert.deepEqual([none.failed, none.error.name], [1, "MisuseError"]);
});

test("a bug is no verdict", async () => {
  await assert.rejects(checkClaim(await question({ trustedRoot: null })), TypeError);
});

test("the bundle's hint chooses the key, and no key of another is tried", async () => {
  const { key } = await question();
  const claim = await readClaim(data("bundle.json"), new KeyRing({ keys: [key] }));
  assert.deepEqual([claim.predicateType, claim.key], [RELEASE, key]);
  await assert.rejects(readClaim(data("bundle.json"), new KeyRing({ keys: [] })), VerificationError);
});
