/**
 * All laws of the kit, in the order of their numbers.
 */
import type { Law } from "../law.ts"
import { closeLaws } from "./close.ts"
import { eofLaws } from "./eof.ts"
import { halfCloseLaws } from "./halfClose.ts"
import { orderingLaws } from "./ordering.ts"
import { readingLaws } from "./reading.ts"
import { writevLaws } from "./writev.ts"

export const laws: ReadonlyArray<Law> = [readingLaws, eofLaws, orderingLaws, writevLaws, closeLaws, halfCloseLaws]
  .flat().sort((
    one,
    other
  ) => one.number - other.number)
