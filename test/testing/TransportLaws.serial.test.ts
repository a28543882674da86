import { transportLaws } from "effect-transport/vitest"
import { afterAll } from "vitest"
import { endBridge } from "../support/ptyBridge.ts"
import { subjects } from "../support/subjects.ts"
import { describeWith } from "../support/systemPrograms.ts"

afterAll(endBridge)

transportLaws("a serial cable in memory", subjects.serialMemory!)

describeWith(["python3"], "on pseudoterminals", () => transportLaws("a serial port", subjects.serialPty!))
