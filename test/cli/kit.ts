import { Console, Context, Effect, Schema } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import sharp from "sharp"
import { stringify } from "yaml"
import * as Program from "../../src/cli/Program.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import { classes, micro, sets } from "../pipelines/kit.ts"

const Told = Context.Reference<Array<string>>("test/Told", { defaultValue: () => [] })

export const hearing = (told: Array<string>) => Effect.provideService(Told, told)

export const said = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const lines: Array<string> = []
  const told = yield* Told
  const log = (...values: ReadonlyArray<unknown>) => void lines.push(values.join(" "))
  const error = (...values: ReadonlyArray<unknown>) => void told.push(values.join(" "))
  yield* Program.run(args, (self) => self).pipe(
    Effect.provideService(Console.Console, { ...globalThis.console, log, error })
  )
  return lines.join("\n")
})

export const found = (...args: ReadonlyArray<string>) =>
  Effect.map(said(...args, "--json"), (text) => JSON.parse(text) as Readonly<Record<string, unknown>>)

export const writeConfig = (file: string) =>
  writeFileSync(file, stringify(Schema.encodeSync(Schema.toCodecJson(Preset))(micro({ duration: 2, warmup: 1 }))))

export const draw = async (folder: string) => {
  for (const set of sets) {
    for (let index = 0; index < set.length; index++) {
      const { data, height, width } = await Effect.runPromise(set.image(index))
      const place = join(folder, set.name, classes[set.labels[index]!]!)
      mkdirSync(place, { recursive: true })
      await sharp(data, { raw: { width, height, channels: 3 } }).png().toFile(join(place, `${index}.png`))
    }
  }
}
