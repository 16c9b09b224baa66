// The browser's verifier over many receipts, in one Node process:
//
//   node verify_browser.mjs TRUSTED-ROOT POLICY KEYS FOLDER
//
// Prints how many receipts of the folder it verified, and the processor time for each in
// microseconds: that of all threads, since WebCrypto has its own.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { parseKeys } from "../static/js/assay/keys.js";
import { parsePolicy, parseTrustedRoot } from "../static/js/assay/policy.js";
import { Policy, verifyReceipt } from "../static/js/assay/verify/index.js";

const [rootPath, policyPath, keysPath, folder] = process.argv.slice(2);
const bytes = (path) => new Uint8Array(readFileSync(path));
const trustedRoot = await parseTrustedRoot(bytes(rootPath));
const keys = await parseKeys(bytes(keysPath));
const policy = new Policy({ witnesses: await parsePolicy(bytes(policyPath)), keys });
const receipts = readdirSync(folder).map((name) => bytes(join(folder, name)));
const [key] = keys.keys;
const begun = process.cpuUsage();
for (const receipt of receipts) await verifyReceipt(receipt, { key, trustedRoot, policy });
const { user, system } = process.cpuUsage(begun);
console.log(JSON.stringify({ count: receipts.length, us: (user + system) / receipts.length }));
