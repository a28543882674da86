import { transportLaws } from "effect-transport/vitest"
import { afterAll } from "vitest"
import { dropFifos } from "../support/fifos.ts"
import { subjects } from "../support/subjects.ts"

afterAll(dropFifos)

transportLaws("fifo", subjects.fifo!)
