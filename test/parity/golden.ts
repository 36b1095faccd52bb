import { Result } from "effect"
import { readFileSync } from "node:fs"
import * as Safetensors from "../../src/domain/Safetensors.ts"

const file = (name: string) => new URL(`../golden/${name}`, import.meta.url)

export const json = (name: string) => JSON.parse(readFileSync(file(`${name}.json`), "utf8"))

export const tensors = (name: string) => {
  const found = Result.getOrThrow(Safetensors.decode(readFileSync(file(`${name}.safetensors`)))).tensors
  return (key: string): Safetensors.Tensor => {
    const tensor = found[key]
    if (tensor === undefined) throw new Error(`${name}.safetensors has no ${key}`)
    return tensor
  }
}
