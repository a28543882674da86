import { transportLaws } from "effect-transport/vitest"
import { subjects } from "../support/subjects.ts"

transportLaws("unix", subjects.unix!)
