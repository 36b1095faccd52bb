/** All operations, by name. */
import * as Collective from "./Collective.ts"
import * as Elementwise from "./Elementwise.ts"
import * as Indexing from "./Indexing.ts"
import * as Movement from "./Movement.ts"
import * as Normalization from "./Normalization.ts"
import type { Operation } from "./Operation.ts"
import * as Product from "./Product.ts"
import * as Reduction from "./Reduction.ts"
import * as Update from "./Update.ts"

/** All operations. */
export const all: ReadonlyArray<Operation> = [
  Collective,
  Elementwise,
  Indexing,
  Movement,
  Normalization,
  Product,
  Reduction,
  Update
].flatMap((group) => Object.values<Operation>(group))

const byName: ReadonlyMap<string, Operation> = new Map(all.map((operation) => [operation.name, operation]))

/** Returns the operation of this name. */
export const named = (name: string): Operation => byName.get(name)!
