/** socat as a relay of one connection, as users run it: with its default buffer of 8 KiB. This process only watches it. */
import { spawn } from "node:child_process"
import { answer, cpuOf, digestOf, options } from "../child.ts"
import type { SubjectAnswers, SubjectOptions } from "../messages.ts"

const { target } = options<SubjectOptions>()

const socat = spawn(
  "socat",
  ["-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1,nodelay,accept-timeout=20", `TCP:127.0.0.1:${target},nodelay`],
  { stdio: ["ignore", "ignore", "pipe"] }
)

const listening = new Promise<number>((resolve, reject) => {
  let printed = ""
  socat.on("error", reject)
  socat.stderr.setEncoding("utf8").on("data", (text: string) => {
    printed += text
    const port = /listening on .*:(\d+)\s/.exec(printed)?.[1]
    if (port !== undefined) resolve(Number(port))
  })
})

process.on("exit", () => socat.kill())
process.on("SIGTERM", () => process.exit())

answer<SubjectAnswers>({
  start: () => listening,
  cpu: () => cpuOf(socat.pid!),
  memory: () => 0,
  digest: () => digestOf({})
})
