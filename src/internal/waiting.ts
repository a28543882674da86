/**
 * What an effect waits on, in words: for whoever has to say why nothing goes on. It stands on the effect itself and costs
 * nothing until it is asked for.
 */

const key = "~effect-transport/waitsOn"

type Words = string | (() => string)

/** Says it of the effect, and answers with that. */
export const waitsOn = <E extends object>(effect: E, on: Words): E => {
  ;(effect as { [key]?: Words })[key] = on
  return effect
}

/** Nothing where nobody said it. */
export const wordsOf = (effect: object): string | undefined => {
  const on = (effect as { readonly [key]?: Words })[key]
  return typeof on === "function" ? on() : on
}
