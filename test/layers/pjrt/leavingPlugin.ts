import { Effect } from "effect"
import * as Client from "../../../src/layers/pjrt/Client.ts"
import * as Plugin from "../../../src/layers/pjrt/Plugin.ts"

const [, , file] = process.argv
await Effect.runPromise(Effect.scoped(Effect.flatMap(Plugin.load(file!), (plugin) => Client.open(plugin))))
