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
    execArgv: ["--disable-warning=ExperimentalWarning"]
  }
})
