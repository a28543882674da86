/** Programs that print or read zeros, which cost as little as a program can, and what is to be known of so many zeros. */
import { createHash } from "node:crypto"

export const printing = (bytes: number) => ["head", "-c", String(bytes), "/dev/zero"] as const

/** Reads until the end, and then prints the hash or the number of what it read. */
export const reading = (isHashed: boolean) => isHashed ? ["sha256sum"] as const : ["wc", "-c"] as const

/** What `reading` prints, without the name of the file. */
export const printed = (text: string): string => text.trim().split(" ")[0]!

export const hashOfZeros = (messages: number, bytes: number): string => {
  const hash = createHash("sha256")
  const message = new Uint8Array(bytes)
  for (let i = 0; i < messages; i++) hash.update(message)
  return hash.digest("hex")
}
