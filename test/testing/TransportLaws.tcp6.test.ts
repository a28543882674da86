import { transportLaws } from "effect-transport/vitest"
import { subjects } from "../support/subjects.ts"

transportLaws("tcp6", subjects.tcp6!)
