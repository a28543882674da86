/**
 * All specimens of the kit, in the order of the laws that catch them.
 */
import type { Specimen } from "../law.ts"
import { abortSpecimens } from "./abort.ts"
import { closeSpecimens } from "./close.ts"
import { concurrencySpecimens } from "./concurrency.ts"
import { eofSpecimens } from "./eof.ts"
import { halfCloseSpecimens } from "./halfClose.ts"
import { orderingSpecimens } from "./ordering.ts"
import { readingSpecimens } from "./reading.ts"
import { writevSpecimens } from "./writev.ts"
import { writingSpecimens } from "./writing.ts"

export const specimens: ReadonlyArray<Specimen> = [
  readingSpecimens,
  eofSpecimens,
  writingSpecimens,
  orderingSpecimens,
  concurrencySpecimens,
  writevSpecimens,
  closeSpecimens,
  halfCloseSpecimens,
  abortSpecimens
]
  .flat().sort((one, other) => one.law - other.law)
