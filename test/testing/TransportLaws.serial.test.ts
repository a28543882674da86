import { transportLaws } from "effect-transport/vitest"
import { subjects } from "../support/subjects.ts"
import { describeWith } from "../support/systemPrograms.ts"

transportLaws("a serial cable in memory", subjects.serialMemory!)

describeWith(["socat"], "on this machine", () => transportLaws("a serial port", subjects.serialPty!))
