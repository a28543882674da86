/**
 * All specimens of the kit, in the order of the laws that catch them.
 */
import type { Specimen } from "../law.ts"
import { eofSpecimens } from "./eof.ts"
import { writevSpecimens } from "./writev.ts"

export const specimens: ReadonlyArray<Specimen> = [eofSpecimens, writevSpecimens].flat().sort((one, other) =>
  one.law - other.law
)
