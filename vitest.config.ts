import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

// Ours, then Vite's own.
const conditions = ["effect-transport-source", "module", "node", "development|production"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/setup.ts"],
    reporters: ["default", "./test/support/reporter.ts"],
    // The laws about leaks ask for a collection.
    execArgv: ["--expose-gc"],
    // Laws over real connections wait more than they work.
    maxWorkers: availableParallelism() + 1,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    typecheck: {
      enabled: true,
      include: ["test/types/**/*.test-d.ts"],
      tsconfig: "tsconfig.json"
    }
  }
})
