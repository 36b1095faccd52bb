/** A worker thread that computes a map. */
import * as ThreadAnswer from "../../layers/machine/ThreadAnswer.ts"
import type { Work } from "./CodeMap.ts"
import * as Umap from "./Umap.ts"

ThreadAnswer.give(({ options, vectors, width }: Work) => Umap.of(vectors, width, options))
