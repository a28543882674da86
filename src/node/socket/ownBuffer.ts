/**
 * Lets the kernel read into a buffer of ours. Node allocates 64 KiB for each read, which costs more than the read does
 * where bytes come in bulk, and a seventh of an echo of small messages.
 *
 * Node has this as an option (`onread`) of sockets that connect, and has nothing for those that are accepted. So both are
 * given here what the option would give them. These members are no public ones: where a Node names them otherwise, nothing
 * is touched, and the caller reads the public way.
 */
import type * as Net from "node:net"

/** Where the kernel reads to. */
export interface ReadBuffers {
  /** The buffer of the first read. */
  readonly first: Uint8Array
  /** So many bytes are in the buffer. False stops reading. Called on the socket. */
  readonly read: (this: Net.Socket, bytes: number, buffer: Uint8Array) => boolean
  /** Asked at once after `read`: another buffer for the next one; none to go on with the same. Called on nothing. */
  readonly next: () => Uint8Array | undefined
}

/**
 * Reads of this socket go to `buffers` from now on, or nowhere new where this Node does not know how: then it answers with
 * false. To be called before the first read.
 */
export const readInto = (socket: Net.Socket, buffers: ReadBuffers): boolean => {
  const inside = socket as unknown as Inside
  const { buffer, bufferCallback, bufferGenerator } = keysOf(socket)
  if (
    buffer === undefined || bufferCallback === undefined || bufferGenerator === undefined ||
    typeof inside._handle?.useUserBuffer !== "function"
  ) return false
  inside[bufferCallback] = buffers.read
  inside[bufferGenerator] = buffers.next
  use(socket, buffers.first)
  return true
}

/** Changes the buffer, between two reads; each change costs Node some 50 bytes until the socket is closed. */
export const use = (socket: Net.Socket, next: Uint8Array): void => {
  const inside = socket as unknown as Inside
  inside[keysOf(socket).buffer!] = next
  inside._handle?.useUserBuffer?.(next)
}

interface Inside {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Uint8Array) => void } | null
  [key: symbol]: unknown
}

interface Keys {
  readonly buffer: symbol | undefined
  readonly bufferCallback: symbol | undefined
  readonly bufferGenerator: symbol | undefined
}

let keys: Keys | undefined

/** They are the same for all sockets. */
const keysOf = (socket: Net.Socket): Keys => {
  if (keys !== undefined) return keys
  const named = (description: string) =>
    Object.getOwnPropertySymbols(socket).find((symbol) => symbol.description === description)
  return keys = {
    buffer: named("kBuffer"),
    bufferCallback: named("kBufferCb"),
    bufferGenerator: named("kBufferGen")
  }
}
