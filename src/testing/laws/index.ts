/**
 * All laws of the kit, in the order of their numbers.
 */
import type { Law } from "../law.ts"
import { abortLaws } from "./abort.ts"
import { closeLaws } from "./close.ts"
import { concurrencyLaws } from "./concurrency.ts"
import { eofLaws } from "./eof.ts"
import { halfCloseLaws } from "./halfClose.ts"
import { orderingLaws } from "./ordering.ts"
import { readingLaws } from "./reading.ts"
import { writevLaws } from "./writev.ts"
import { writingLaws } from "./writing.ts"

export const laws: ReadonlyArray<Law> = [
  readingLaws,
  eofLaws,
  writingLaws,
  orderingLaws,
  concurrencyLaws,
  writevLaws,
  closeLaws,
  halfCloseLaws,
  abortLaws
]
  .flat().sort((
    one,
    other
  ) => one.number - other.number)
