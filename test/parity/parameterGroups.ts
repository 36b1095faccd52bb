import * as WeightDecay from "../../src/domain/method/WeightDecay.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import type { Fixture } from "./fixture.ts"

export interface Group {
  readonly lr_scale: number
  readonly weight_decay: number
  readonly params: ReadonlyArray<string>
}

/** The weight decay of those that decay. */
export const decayOf = (groups: ReadonlyArray<Group>): number =>
  groups.reduce((most, { weight_decay }) => Math.max(most, weight_decay), 0)

/** Compares which parameters an optimizer decays, and how fast it learns each, with official groups. */
export const check = (
  fixture: Fixture,
  fact: string,
  groups: ReadonlyArray<Group>,
  { parameters, scale = () => 1, stage }: {
    readonly stage: WeightDecay.Stage
    readonly parameters: ReadonlyMap<string, Pick<Tree.Leaf, "shape">>
    readonly scale?: (name: string) => number
  }
): void => {
  const official = new Map(groups.flatMap(({ params, ...group }) => params.map((name) => [name, group] as const)))
  const names = Array.from(parameters.keys())
  fixture.equals("info", `${fact} names`, names.toSorted(), Array.from(official.keys()).toSorted())
  fixture.equals(
    "info",
    `${fact} weight_decay`,
    names.map((name) => WeightDecay.decays(stage)(name, parameters.get(name)!.shape.length)),
    names.map((name) => (official.get(name)?.weight_decay ?? Number.NaN) > 0)
  )
  fixture.compare(
    "info",
    `${fact} lr_scale`,
    names.map(scale),
    names.map((name) => official.get(name)?.lr_scale ?? Number.NaN),
    { relative: 0, absolute: 1e-12 }
  )
}
