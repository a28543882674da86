/**
 * Pairs of pseudoterminals, many of them from one program, and each direction of a pair by itself: socat stops both
 * directions when nobody reads in one, which no cable does.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface, type Interface } from "node:readline"

/**
 * Answers `new` with two paths, and ends the pair of which it is told the first. It keeps the other side of each open, so
 * that a device can be opened again and again.
 */
const program = `
import os, pty, select, sys, tty
peer, name, held, waiting = {}, {}, {}, {}
def end(path):
  for fd in [fd for fd, other in peer.items() if path in (name[fd], name[other])]:
    os.close(fd); os.close(held.pop(fd)); del waiting[fd]
  for fd in [fd for fd in peer if fd not in waiting]: del peer[fd]
while True:
  reading = [fd for fd in peer if len(waiting[peer[fd]]) < 65536]
  writing = [fd for fd in peer if waiting[fd]]
  ready, free, _ = select.select([0] + reading, writing, [])
  for fd in free:
    try: del waiting[fd][:os.write(fd, waiting[fd])]
    except BlockingIOError: pass
  for fd in ready:
    if fd != 0:
      try: waiting[peer[fd]] += os.read(fd, 65536)
      except BlockingIOError: pass
  if 0 in ready:
    command = sys.stdin.readline().split()
    if not command: sys.exit()
    if command[0] == "new":
      pair = []
      for _ in range(2):
        fd, other = pty.openpty(); tty.setraw(other); os.set_blocking(fd, False)
        name[fd], held[fd], waiting[fd] = os.ttyname(other), other, bytearray(); pair.append(fd)
      peer[pair[0]], peer[pair[1]] = pair[1], pair[0]
      print(*[name[fd] for fd in pair], flush=True)
    else:
      end(command[1]); print("ended", flush=True)
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
