/**
 * All laws of codecs, in the order of their numbers.
 */
import type { CodecLaw } from "../codecLaw.ts"
import { chanceLaws } from "./chance.ts"
import { cuttingLaws } from "./cutting.ts"
import { encodingLaws } from "./encoding.ts"
import { errorLaws } from "./errors.ts"
import { limitLaws } from "./limits.ts"
import { memoryLaws } from "./memory.ts"
import { restLaws } from "./rest.ts"
import { steppingLaws } from "./stepping.ts"

export const codecLaws: ReadonlyArray<CodecLaw> = [
  cuttingLaws,
  steppingLaws,
  restLaws,
  encodingLaws,
  limitLaws,
  errorLaws,
  memoryLaws,
  chanceLaws
].flat()
