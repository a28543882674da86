/**
 * Bytes as `hexdump -C` shows them.
 */

const rowBytes = 16

/** The rows of some bytes, of which the first stands at `offset`. */
export const hexDump = (bytes: Uint8Array, offset: number): ReadonlyArray<string> => {
  const rows: Array<string> = []
  for (let at = 0; at < bytes.length; at += rowBytes) {
    const row = bytes.subarray(at, at + rowBytes)
    const hex = Array.from(row, (byte, i) => (i === 8 ? " " : "") + byte.toString(16).padStart(2, "0")).join(" ")
    const text = Array.from(row, (byte) => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".").join("")
    rows.push(`${(offset + at).toString(16).padStart(8, "0")}  ${hex.padEnd(48)}  |${text}|`)
  }
  return rows
}
