import { transportLaws } from "effect-transport/vitest"
import { webSubjects } from "../support/webSubjects.ts"

transportLaws("webTransform", webSubjects.webTransform!)
