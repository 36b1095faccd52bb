import { assert } from "@effect/vitest"
import type * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf, TrainStep } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"

const RELATIVE = 2e-5

export interface Case<S, B, M> {
  readonly step: TrainStep<S, B, M>
  readonly state: (seed: number) => HostOf<S>
  readonly batch: (seed: number, number?: number) => HostOf<B>
}

export type Named = Readonly<Record<string, HostTensor.Any>>

export const named = (group: string, tree: object): Named =>
  Object.fromEntries(Tree.leaves<HostTensor.Any>(tree).map(([path, leaf]) => [`${group}.${path}`, leaf]))

export type Arrays = ReadonlyMap<string, HostTensor.Any>

export const listed = (steps: ReadonlyArray<Named>): Arrays =>
  new Map(steps.flatMap((arrays, i) => Object.entries(arrays).map(([name, array]) => [`${i} ${name}`, array])))

export const close = (found: Arrays, expected: Arrays) => {
  for (const [name, { data }] of expected) {
    const largest = Math.max(1e-6, ...Array.from(data, Math.abs))
    data.forEach((x, at) => assert.closeTo(found.get(name)!.data[at]!, x, RELATIVE * largest, name))
  }
}
