import { transportLaws } from "effect-transport/vitest"
import { subjects } from "../support/subjects.ts"
import { describeWith } from "../support/systemPrograms.ts"

describeWith(["socat"], "through a program", () => transportLaws("exec", subjects.exec!))
