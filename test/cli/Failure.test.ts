import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, Exit, Logger } from "effect"
import * as Failure from "../../src/cli/terminal/Failure.ts"
import * as Output from "../../src/cli/terminal/Output.ts"

const written = Effect.fnUntraced(function*(
  self: Effect.Effect<never, { readonly message: string }>,
  machine = false
) {
  const [out, err] = [new Array<string>(), new Array<string>()]
  const into = (lines: Array<string>) => (...values: ReadonlyArray<unknown>) => void lines.push(values.join(" "))
  const console = { ...globalThis.console, log: into(out), error: into(err) }
  const exit = yield* self.pipe(
    Failure.reported(machine),
    Effect.provideService(Logger.LogToStderr, true),
    Effect.provideService(Console.Console, console),
    Effect.exit
  )
  assert.isTrue(Exit.isFailure(exit))
  return { out, err: err.join("\n") }
})

describe("a failure that nobody has shown", () => {
  it.effect("is reported beside the results, a defect with its stack trace", () =>
    Effect.gen(function*() {
      const { err, out } = yield* written(Effect.die(new RangeError("no such thing")))
      assert.deepStrictEqual(out, [])
      assert.include(err, "a bug in patchword")
      assert.include(err, "no such thing")
      assert.match(err, /^\s+at /m)
    }))

  it.effect("is one sentence where it is no defect", () =>
    Effect.gen(function*() {
      const { err, out } = yield* written(Effect.fail(new Output.OutputLost({ problem: "the disk is full" })))
      assert.deepStrictEqual(out, [])
      assert.match(err, /^\s*ERROR\s+the output cannot be written \(the disk is full\); free some space/)
      assert.notMatch(err, /^\s+at /m)
    }))

  it.effect("is silent for an interruption", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* written(Effect.interrupt), { out: [], err: "" })
    }))

  it.effect("tells a program what to do as the error says it", () =>
    Effect.gen(function*() {
      const finding = "the tensors do not fit (a is [2]; b is [3]; c is [4])"
      const remedy = "use other weights; or train again"
      const error = new Failure.Failure({ tag: "Mismatch", finding, remedy, code: 65 })
      const { err } = yield* written(Effect.fail(error), true)
      assert.deepInclude(JSON.parse(err), { message: `${finding}; ${remedy}`, remedy, exitCode: 65 })
    }))
})
