import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

export default defineConfig({
  ssr: { resolve: { conditions: ["patchword-source", "module", "node", "development|production"] } },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // By default one core stays free, so that of two cores one would be idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Modules are loaded once for each worker, not once for each file, which took a quarter of the time. So no file may leave
    // anything behind: what it sets, it resets, and it compares counts with those before.
    isolate: false,
    execArgv: ["--disable-warning=ExperimentalWarning"]
  }
})
