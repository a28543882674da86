/**
 * All specimens of the kit, in the order of the laws that catch them.
 */
import type { Specimen } from "../law.ts"
import { closeSpecimens } from "./close.ts"
import { eofSpecimens } from "./eof.ts"
import { halfCloseSpecimens } from "./halfClose.ts"
import { orderingSpecimens } from "./ordering.ts"
import { readingSpecimens } from "./reading.ts"
import { writevSpecimens } from "./writev.ts"

export const specimens: ReadonlyArray<Specimen> = [
  readingSpecimens,
  eofSpecimens,
  orderingSpecimens,
  writevSpecimens,
  closeSpecimens,
  halfCloseSpecimens
]
  .flat().sort((one, other) => one.law - other.law)
