// In-toto Statement v1 and the predicates of Assay.
//
// `parseStatement` reads any statement, `parsePredicate` the predicate of one of our kinds. The
// browser makes statements with the builders of `statements.js`, which stand beside this folder.

export { OMS, STATEMENT_TYPE } from "../manifest.js";
export { comparable, readRuntime, runtimeDigest } from "./parts.js";
export * from "./predicates.js";
export { parseStatement } from "./statement.js";
