import { transportLaws } from "effect-transport/vitest"
import { afterAll } from "vitest"
import { endBridge } from "../support/ptyBridge.ts"
import { subjects } from "../support/subjects.ts"
import { describeWith } from "../support/systemPrograms.ts"

afterAll(endBridge)

transportLaws("a serial cable in memory", subjects.serialMemory!)

// Each pair starts two programs and each open one that locks, and law 83 opens some thousands.
describeWith(
  ["python3", "socat"],
  "on pseudoterminals",
  () => transportLaws("a serial port", subjects.serialPty!, { timeoutMillis: 300_000 })
)
