// Verification in numbered steps: bytes, keys and policy in; a verdict or an error out. The steps,
// their words and their order are those of `assay.verify`:
//
//  1. The caller's question makes sense: a log is trusted, a predicate type and a thing are named.
//  2. The whole bundle is syntax, the note and checkpoint in it included.
//  3. It is of the kind taken here: entry, payload type, no key id, the hint is absent or this
//     key's.
//  4. The key signed the PAE of the payload.
//  5. The logged body is the one that envelope and key give.
//  6. The log is known; it and the policy's witnesses signed the checkpoint.
//  7. The unsigned copies of size, root and index equal the signed ones.
//  8. The body is the leaf at that index of that tree.
//  9. The tree and the one that the reader remembers are one history.
// 10. The statement is strict, and of the type that was asked for.
// 11. The subject is the reader's file, or the manifest is the reader's folder.
// 12. The key had the role for it, and had not been revoked at that index: as the key's own
//     registration entry says (registration.js), or else the reader's list.
// 13. (receipts) The execution's predicate agrees with its entry and with the reader's input.
//     (aliases) The move agrees with its entry, and is one of the key's owner's models.
// 14. The proof is as fresh as the policy asks; how far revocations are known (fresh.js).
//
// Nothing here reads a file, the network or a clock. Not checked here: whether the statement is
// true. For an execution, a replay is the check of that.
//
//     const verified = await verifyReceipt(data, { key, trustedRoot, policy, onStep: show });
//     // → { statement, key, index, checkpoint, signer, steps: [{ number, name, detail }, …] }

export { KeyRing, TrustedKey, parseKeys } from "../keys.js";
export { verifyAlias, verifyBundle, verifyReceipt, verifyTlogProof } from "./claims.js";
export { Policy } from "./fresh.js";
