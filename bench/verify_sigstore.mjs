// @sigstore/verify over many bundles, in one process:
//
//   node verify_sigstore.mjs PACKAGES TRUSTED-ROOT PUBLIC-KEY.pem FOLDER
//
// Prints how many bundles of the folder it took, and the processor time for each in microseconds.
// It checks signature, inclusion and checkpoint; witnesses, statement and predicate it does not.

import { createPublicKey } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [packages, rootPath, keyPath, folder] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const { bundleFromJSON } = require("@sigstore/bundle");
const { PublicKeyDetails, TrustedRoot } = require("@sigstore/protobuf-specs");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");

const rawBytes = createPublicKey(readFileSync(keyPath)).export({ format: "der", type: "spki" });
const key = { rawBytes, keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256 };
const root = TrustedRoot.fromJSON(JSON.parse(readFileSync(rootPath, "utf8")));
const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
const { hint } = JSON.parse(texts[0]).verificationMaterial.publicKey;
const thresholds = { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: 0 };
const verifier = new Verifier(toTrustMaterial(root, { [hint]: key }), thresholds);
const begun = process.cpuUsage();
for (const text of texts) verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(text))));
const { user, system } = process.cpuUsage(begun);
console.log(JSON.stringify({ count: texts.length, us: (user + system) / texts.length }));
