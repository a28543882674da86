/**
 * Bulk through the standard input or output of a program. Each run starts one (`between.ts`) between the pipes of a shell,
 * with a tenth of the work besides, for warmth; the figures are its own.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Path from "node:path"
import { text } from "node:stream/consumers"
import type { BetweenOptions, Passed } from "../between.ts"
import { answer, options, ownUsage } from "../child.ts"
import type { AloneAnswers, SubjectOptions } from "../messages.ts"
import { hashOfZeros, printed, printing, reading } from "../zeros.ts"

const { bytes, isHashed, service } = options<SubjectOptions>()

/** One for each run. */
const sent: Array<string> = []
const received: Array<string> = []

let cpuMicros = 0

answer<AloneAnswers>({
  ...ownUsage,
  start: () => 0,
  cpu: () => cpuMicros,
  run: async (operations) => {
    const warming = Math.ceil(operations / 10)
    const messages = warming + Math.ceil(operations)
    const settings: BetweenOptions = { service, bytes, isHashed, warming, messages }
    const between = [...process.execArgv, Path.join(import.meta.dirname, "../between.ts"), JSON.stringify(settings)]
    const isInput = service.startsWith("in/")
    const pipes = isInput
      ? `${printing(messages * bytes).join(" ")} | "$0" "$@"`
      : `"$0" "$@" | ${reading(isHashed).join(" ")}`
    // The channel is inherited by all that the shell starts, and only one of them uses it.
    const shell = spawn("sh", ["-c", pipes, process.execPath, ...between], {
      stdio: ["ignore", "pipe", "inherit", "ipc"]
    })
    const failed = new AbortController()
    shell.once("exit", () => failed.abort())
    const output = text(shell.stdout!)
    const [passed]: [Passed] = await once(shell, "message", failed) as [Passed]
    cpuMicros += passed.cpuMicros
    received.push(isInput ? passed.hash : printed(await output))
    sent.push(isHashed ? hashOfZeros(messages, bytes) : received.at(-1)!)
    return passed.seconds
  },
  digest: () => ({ sent: sent.join(), received: received.join() })
})
