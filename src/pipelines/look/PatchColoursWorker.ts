/** A worker thread that fits the colours of patches. */
import * as PatchColours from "../../domain/look/PatchColours.ts"
import * as ThreadAnswer from "../../layers/machine/ThreadAnswer.ts"
import type { Work } from "./Pca.ts"

ThreadAnswer.give(({ options, rows, width }: Work) => PatchColours.fit(rows, width, options))
