import { defineConfig } from "vitest/config"

export default defineConfig({
  ssr: { resolve: { conditions: ["patchword-source", "module", "node", "development|production"] } },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    execArgv: ["--disable-warning=ExperimentalWarning"]
  }
})
