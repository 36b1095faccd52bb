import { defineConfig } from "vitest/config"

export default defineConfig({
  resolve: {
    alias: [{ find: /^patchword\/(\w+)$/, replacement: `${import.meta.dirname}/src/$1/index.ts` }]
  },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    execArgv: ["--disable-warning=ExperimentalWarning"]
  }
})
