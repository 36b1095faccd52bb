import { serve } from "../../../src/layers/engine/Serve.ts"

const never = () => {
  throw new Error("it does not run")
}

serve({
  start: () => [{ version: "1", threads: 1, precisions: [] }],
  open: never,
  run: never,
  read: never,
  close: never,
  memory: never
})
