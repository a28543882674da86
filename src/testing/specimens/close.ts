import type { Specimen } from "../law.ts"
export const closeSpecimens: ReadonlyArray<Specimen> = []
