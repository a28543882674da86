/**
 * Pairs of pseudoterminals, each direction of a pair joined by a socat of its own: one socat for both stops both when nobody
 * reads in one, which no cable does.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface, type Interface } from "node:readline"

/**
 * Answers `new` with two paths, and ends the pair of which it is told the first. It keeps both devices open, so that they can
 * be opened again and again; their other sides are open in the two socats alone, and gone with them.
 */
const program = `
import os, pty, subprocess, sys, tty
pairs = {}
def pair():
  (a, deviceA), (b, deviceB) = pty.openpty(), pty.openpty()
  for device in [deviceA, deviceB]: tty.setraw(device)
  socats = [subprocess.Popen(["socat", "-u", f"FD:{x}", f"FD:{y}"], pass_fds=[x, y]) for x, y in [(a, b), (b, a)]]
  os.close(a); os.close(b)
  pairs[os.ttyname(deviceA)] = socats, [deviceA, deviceB]
  return [os.ttyname(device) for device in [deviceA, deviceB]]
def end(path):
  socats, devices = pairs.pop(path)
  for socat in socats: socat.kill()
  for socat in socats: socat.wait()
  for device in devices: os.close(device)
for line in sys.stdin:
  command, *path = line.split()
  print(*(pair() if command == "new" else [end(*path)]), flush=True)
for path in list(pairs): end(path)
`

interface Bridge {
  readonly child: ChildProcess
  readonly lines: Interface
}

let bridge: Bridge | undefined

const start = (): Bridge => {
  const child = spawn("python3", ["-u", "-c", program], { stdio: ["pipe", "pipe", "inherit"] })
  return { child, lines: createInterface({ input: child.stdout! }) }
}

/** Requests are answered in the order in which they are made. */
const ask = (request: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    bridge ??= start()
    const turn = last.then(async () => {
      const answer = once(bridge!.lines, "line")
      bridge!.child.stdin!.write(`${request}\n`)
      return (await answer)[0] as string
    })
    last = turn
    return turn
  })
let last: Promise<unknown> = Promise.resolve()

/** To be called when the tests of a file are over: it would keep the runner's process. */
export const endBridge = async (): Promise<void> => {
  if (bridge === undefined) return
  const exit = once(bridge.child, "exit")
  bridge.child.stdin!.end()
  await exit
  bridge = undefined
}

/** The paths of two devices, unplugged with the scope. */
export const bridgedPair: Effect.Effect<readonly [a: string, b: string], never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(ask("new"), (paths) => ask(`end ${paths.split(" ")[0]}`)),
  (paths) => paths.split(" ") as [string, string]
)
