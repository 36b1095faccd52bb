import { Result } from "effect"
import { readFileSync } from "node:fs"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"

const file = (name: string) => new URL(`../golden/${name}`, import.meta.url)

export const json = (name: string) => JSON.parse(readFileSync(file(`${name}.json`), "utf8"))

const read = (name: string) => Result.getOrThrow(Safetensors.decode(readFileSync(file(`${name}.safetensors`)))).tensors

export const keys = (name: string): ReadonlyArray<string> => Object.keys(read(name))

export const tensors = (name: string) => {
  const found = read(name)
  return (key: string): Safetensors.Tensor => {
    const tensor = found[key]
    if (tensor === undefined) throw new Error(`${name}.safetensors has no ${key}`)
    return tensor
  }
}
