/** The server of `rpcProgram.ts` over its own standard input and output, until its input ends. */
import { Effect, Exit } from "effect"
import { NodeTransport } from "effect-transport/node"
import { serveOne } from "./rpcProgram.ts"

Effect.runCallback(Effect.provide(serveOne("stdio:"), NodeTransport.layerNetwork), {
  onExit: (exit) => {
    // Whoever hung up is served.
    process.exitCode = Exit.isSuccess(exit) || Exit.hasInterrupts(exit) ? 0 : 1
  }
})
