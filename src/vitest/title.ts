/**
 * What a `describe` of laws is called: the name of the subject, and the laws that are left out, by what they need.
 */
export const titleOf = (
  name: string,
  cases: ReadonlyArray<{ readonly number: number; readonly missing: ReadonlyArray<string> }>
): string => {
  const without = new Map<string, Array<number>>()
  for (const { missing, number } of cases) {
    if (missing.length === 0) continue
    const need = missing.join(", ")
    without.set(need, [...without.get(need) ?? [], number])
  }
  const leftOut = Array.from(without, ([need, numbers]) => `${numbers.join(" ")} (${need})`)
  return leftOut.length === 0 ? name : `${name}, without laws ${leftOut.join(", ")}`
}
