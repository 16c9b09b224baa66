// Verify one bundle with @sigstore/verify as a program of somebody else would:
//
//   node verify.mjs PACKAGES BUNDLE TRUSTED-ROOT PUBLIC-KEY.pem
//
// One log entry, and no certificate log or time stamp: our bundles have neither.
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [packages, bundlePath, rootPath, keyPath] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const { bundleFromJSON } = require("@sigstore/bundle");
const { PublicKeyDetails, TrustedRoot } = require("@sigstore/protobuf-specs");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");

const json = (path) => JSON.parse(readFileSync(path, "utf8"));
const rawBytes = createPublicKey(readFileSync(keyPath)).export({ format: "der", type: "spki" });
const key = { rawBytes, keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256 };

const bundle = bundleFromJSON(json(bundlePath));
const material = toTrustMaterial(TrustedRoot.fromJSON(json(rootPath)), {
  [bundle.verificationMaterial.content.publicKey.hint]: key,
});
const thresholds = { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: 0 };
try {
  new Verifier(material, thresholds).verify(toSignedEntity(bundle));
} catch (error) {
  console.error(`REFUSED: ${error.code}: ${error.message}`);
  process.exit(1);
}
console.log("OK");
