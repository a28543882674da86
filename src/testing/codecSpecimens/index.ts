/**
 * All specimens of codecs, in the order of the laws that catch them.
 */
import type { CodecSpecimen } from "../codecLaw.ts"
import { decodingSpecimens } from "./decoding.ts"
import { encodingSpecimens } from "./encoding.ts"
import { errorSpecimens } from "./errors.ts"
import { memorySpecimens } from "./memory.ts"

export const codecSpecimens: ReadonlyArray<CodecSpecimen> = [
  decodingSpecimens,
  encodingSpecimens,
  errorSpecimens,
  memorySpecimens
].flat()
