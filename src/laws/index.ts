/** What holds of masks, quantizers and other parts, as properties to try on ours and on yours. Needs `fast-check`. */
export * as Arbitraries from "./Arbitraries.ts"
export * as Claim from "./Claim.ts"
export { type Law, LawError, make, type Options, type Parameters, verify } from "./Law.ts"
export { type Lookup, lookup } from "./Lookup.ts"
export { type Draw, mask } from "./Mask.ts"
export { type Batch, type Follow, type Followed, movingAverage } from "./MovingAverage.ts"
export { schedule } from "./Schedule.ts"
export { commitment, straightThrough } from "./StraightThrough.ts"
