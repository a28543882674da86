import { assert, describe, it } from "@effect/vitest"
import { crc16modbus, crc32 } from "crc"
import * as crc from "../../src/internal/crc.ts"
import { hex, noise, utf8 } from "../support/codecCases.ts"

describe("crc", () => {
  it("gives the published check values", () => {
    assert.strictEqual(crc.crc16Modbus(utf8("123456789")), 0x4b37)
    assert.strictEqual(crc.crc32(utf8("123456789")), 0xcbf43926)
    assert.strictEqual(crc.crc16Modbus(hex("")), 0xffff)
    assert.strictEqual(crc.crc32(hex("")), 0)
  })

  it("agrees with npm crc", () => {
    for (const length of [0, 1, 2, 3, 8, 255, 256, 1000]) {
      for (const bytes of [noise(length, length), new Uint8Array(length), new Uint8Array(length).fill(0xff)]) {
        assert.strictEqual(crc.crc16Modbus(bytes), crc16modbus(Buffer.from(bytes)))
        assert.strictEqual(crc.crc32(bytes), crc32(Buffer.from(bytes)))
      }
    }
  })
})
