/**
 * Cyclic redundancy checks, by tables. Both are reflected, and begin with all ones.
 */

/** For each byte, what it does to the remainder. */
const tableOf = (polynomial: number): Uint32Array =>
  Uint32Array.from({ length: 256 }, (_, byte) => {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) remainder = (remainder & 1) === 0 ? remainder >>> 1 : remainder >>> 1 ^ polynomial
    return remainder
  })

const table16 = tableOf(0xa001)
const table32 = tableOf(0xedb88320)

/** CRC-16/MODBUS. */
export const crc16Modbus = (bytes: Uint8Array): number => {
  let remainder = 0xffff
  for (let i = 0; i < bytes.length; i++) remainder = remainder >>> 8 ^ table16[(remainder ^ bytes[i]!) & 0xff]!
  return remainder
}

/** CRC-32/ISO-HDLC. */
export const crc32 = (bytes: Uint8Array): number => {
  let remainder = -1
  for (let i = 0; i < bytes.length; i++) remainder = remainder >>> 8 ^ table32[(remainder ^ bytes[i]!) & 0xff]!
  return ~remainder >>> 0
}
