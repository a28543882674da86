/** The side of a child: answers the process that measures, and ends with it. */
import { createHash, type Hash } from "node:crypto"
import * as Fs from "node:fs"
import type { Answer, Digest, Question } from "./messages.ts"

// A run takes a few seconds, and the one that measures gives up before this.
const lifeMs = 150_000

/** The options that this process was started with. */
export const options = <A>(): A => JSON.parse(process.argv[2]!) as A

/** How each question is answered. */
export type Answering<A> = { readonly [K in keyof A]: (argument: number) => A[K] | Promise<A[K]> }

/** Answers until the channel closes. A question that fails ends the process, which the other side notices. */
export const answer = <A>(answering: Answering<A>): void => {
  process.on("message", async ({ argument, question }: Question) => {
    process.send!({ value: await answering[question as keyof A](argument) } satisfies Answer)
  })
  process.on("disconnect", () => process.exit())
  setTimeout(() => process.exit(3), lifeMs).unref()
}

/** What every process under test can tell of itself. */
export const ownUsage = {
  cpu: (): number => {
    const { system, user } = process.cpuUsage()
    return system + user
  },
  memory: (): number => {
    for (let i = 0; i < 2; i++) globalThis.gc!()
    return process.memoryUsage.rss()
  }
}

// What the kernel counts in, on every Linux.
const microsPerTick = 10_000

/** Of a program that cannot be asked. */
export const cpuOf = (pid: number): number => {
  // utime and stime are the 14th and 15th field; the second is a name that may hold blanks.
  const fields = Fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ")
  return (Number(fields[11]) + Number(fields[12])) * microsPerTick
}

/** A hash of a direction, or nothing where nothing is hashed. */
export type Hashing = Hash | undefined

export const hashing = (isHashed: boolean): Hashing => isHashed ? createHash("sha256") : undefined

export const digestOf = (hashes: { readonly sent?: Hashing; readonly received?: Hashing }): Digest => ({
  sent: hexOf(hashes.sent),
  received: hexOf(hashes.received)
})

const hexOf = (hash: Hashing): string => hash === undefined ? "" : hash.copy().digest("hex")
