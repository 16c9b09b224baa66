// Verify many bundles with @sigstore/verify in one process, each as a program of somebody else would:
//
//   node verify-many.mjs PACKAGES TRUSTED-ROOT PUBLIC-KEY.pem < lines
//
// A line is {"id", "data"}, a bundle in base64. Answered is {"id", "reason"}, "" for accepted. The
// key is the one for every hint, as a reader who has one key would have it.
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [packages, rootPath, keyPath] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const { bundleFromJSON } = require("@sigstore/bundle");
const { PublicKeyDetails, TrustedRoot } = require("@sigstore/protobuf-specs");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");

const root = TrustedRoot.fromJSON(JSON.parse(readFileSync(rootPath, "utf8")));
const rawBytes = createPublicKey(readFileSync(keyPath)).export({ format: "der", type: "spki" });
const key = { rawBytes, keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256 };
const thresholds = { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: 0 };

/** @param {Buffer} data @returns {string} why it is refused, "" where it is not */
function refusal(data) {
  try {
    const bundle = bundleFromJSON(JSON.parse(data.toString("utf8")));
    const hint = bundle.verificationMaterial.content.publicKey?.hint ?? "";
    const material = toTrustMaterial(root, { [hint]: key });
    new Verifier(material, thresholds).verify(toSignedEntity(bundle));
    return "";
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, data } = JSON.parse(line);
  console.log(JSON.stringify({ id, reason: refusal(Buffer.from(data, "base64")) }));
}
