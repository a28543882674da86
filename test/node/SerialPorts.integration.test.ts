import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, Stream } from "effect"
import { SerialPorts } from "effect-transport/node"
import * as Fs from "node:fs"
import { dirname, join } from "node:path"
import { filesChanged, listByPackage, listSysfs } from "../../src/node/serial/portList.ts"
import { folder } from "../support/folder.ts"

const write = (path: string, text = "") => {
  Fs.mkdirSync(dirname(path), { recursive: true })
  Fs.writeFileSync(path, text)
}

const link = (path: string, target: string) => {
  Fs.mkdirSync(dirname(path), { recursive: true })
  Fs.symlinkSync(target, path)
}

/** The trees of a kernel that has a screen, a UART, one that is not built in, an adapter and a board. */
const kernel = Effect.map(folder, (root) => {
  const [sys, dev] = [join(root, "sys"), join(root, "dev")]
  const usb = join(sys, "devices/pci0000:00/usb1")
  const tty = (name: string, device?: string) => {
    write(join(sys, "class/tty", name, "dev"), "4:64\n")
    write(join(dev, name))
    if (device === undefined) return
    Fs.mkdirSync(device, { recursive: true })
    link(join(sys, "class/tty", name, "device"), device)
  }
  tty("console")
  tty("tty1")
  tty("ptyp0")
  tty("ttyS0", join(sys, "devices/pnp0/00:00/00:00:0/00:00:0.0"))
  write(join(sys, "class/tty/ttyS0/type"), "4\n")
  tty("ttyS1", join(sys, "devices/platform/serial8250/serial8250:0/serial8250:0.1"))
  write(join(sys, "class/tty/ttyS1/type"), "0\n")
  // An adapter is a device of its own bus, below the interface of the USB device.
  tty("ttyUSB0", join(usb, "1-1/1-1.4/1-1.4:1.0/ttyUSB0"))
  for (
    const [file, text] of Object.entries({
      idVendor: "0403\n",
      idProduct: "6001\n",
      serial: "A50285BI\n",
      manufacturer: "FTDI & Söhne\n"
    })
  ) write(join(usb, "1-1/1-1.4", file), text)
  // A hub has ids as well, and is not the device.
  write(join(usb, "1-1/idVendor"), "05e3\n")
  link(join(dev, "serial/by-id/usb-FTDI_A50285BI-if00-port0"), "../../ttyUSB0")
  tty("ttyACM0", join(usb, "1-2/1-2:1.0"))
  write(join(usb, "1-2/idVendor"), "2341\n")
  write(join(usb, "1-2/idProduct"), "0043\n")
  return { sys, dev }
})

const uart = SerialPorts.port({ path: "ttyS0" })
const adapter = SerialPorts.port({
  path: "ttyUSB0",
  vendorId: "0403",
  productId: "6001",
  serialNumber: "A50285BI",
  manufacturer: "FTDI & Söhne",
  pnpId: "usb-FTDI_A50285BI-if00-port0",
  locationId: "1-1.4"
})
const board = SerialPorts.port({ path: "ttyACM0", vendorId: "2341", productId: "0043", locationId: "1-2" })

describe("the list from sysfs", () => {
  const list = (roots: { readonly sys: string; readonly dev: string }) =>
    Effect.map(
      listSysfs(roots),
      (ports) =>
        ports.map((port) => ({ ...port, path: port.path.slice(roots.dev.length + 1) })).toSorted((a, b) =>
          a.path < b.path ? -1 : 1
        )
    )

  it.live("has what there is to open, with what USB says of it", () =>
    Effect.scoped(Effect.gen(function*() {
      assert.deepStrictEqual(yield* list(yield* kernel), [board, uart, adapter])
    })))

  it.live("has no port without its file, and none that went while one looked", () =>
    Effect.scoped(Effect.gen(function*() {
      const roots = yield* kernel
      Fs.rmSync(join(roots.dev, "ttyUSB0"))
      Fs.rmSync(join(roots.sys, "devices/pci0000:00/usb1/1-2"), { recursive: true })
      Fs.rmSync(join(roots.dev, "serial"), { recursive: true })
      assert.deepStrictEqual(yield* list(roots), [uart])
    })))

  it.live("is Unsupported where there is no sysfs", () =>
    Effect.scoped(Effect.gen(function*() {
      const sys = yield* folder
      const error = yield* Effect.flip(listSysfs({ sys, dev: sys }))
      assert.strictEqual(error.reason._tag, "Unsupported")
      assert.include(error.message, `listing serial ports without ${sys}/class/tty is not supported here`)
    })))
})

describe("a port that is plugged in and out", () => {
  it.live("is seen when its file comes and goes, without a look at the clock", () =>
    Effect.scoped(Effect.gen(function*() {
      const roots = yield* kernel
      const { watch } = SerialPorts.make({
        list: listSysfs(roots),
        watching: filesChanged(roots.dev),
        interval: "1 hour"
      })
      const file = join(roots.dev, "ttyUSB0")
      const next = yield* Stream.toPull(watch)
      const look = Effect.map(next, ([ports]) => ports.some(({ path }) => path === file))
      const seen = [yield* look]
      Fs.rmSync(file)
      seen.push(yield* look)
      Fs.writeFileSync(file, "")
      seen.push(yield* look)
      assert.deepStrictEqual(seen, [true, false, true])
    })))
})

describe("the list of the package", () => {
  it.live("is Unsupported, by name, where the package is missing", () =>
    Effect.gen(function*() {
      const missing: string = "serialport-that-nobody-installed"
      const error = yield* Effect.flip(listByPackage(() => import(missing)))
      assert.strictEqual(
        error.message,
        "control serial:*: listing serial ports without the package serialport is not supported here"
      )
      assert.propertyVal(error.cause, "code", "ERR_MODULE_NOT_FOUND")
    }))

  it.live("keeps the package's error as the cause", () =>
    Effect.gen(function*() {
      const cause = new Error("spawn udevadm ENOENT")
      const list = () => Promise.reject(cause)
      const error = yield* Effect.flip(listByPackage(() => Promise.resolve({ SerialPort: { list } })))
      assert.strictEqual(error.cause, cause)
    }))

  it.live("has the ids in one way, as the package of each platform does not", () =>
    Effect.gen(function*() {
      const com3 = {
        path: "COM3",
        vendorId: "2A03",
        productId: "43",
        serialNumber: undefined,
        locationId: "Port_#0001"
      }
      const ports = yield* listByPackage(() => Promise.resolve({ SerialPort: { list: () => Promise.resolve([com3]) } }))
      assert.deepStrictEqual(ports, [
        SerialPorts.port({ path: "COM3", vendorId: "2a03", productId: "0043", locationId: "Port_#0001" })
      ])
    }))

  it.live("is what the package really exports", () =>
    Effect.gen(function*() {
      const { SerialPort } = yield* Effect.promise(() => import("serialport"))
      assert.isFunction(SerialPort.list)
    }))
})

describe("filesChanged", () => {
  /** Completes when a change of a folder was heard of here, which is after whoever looked on before. */
  const heard = (path: string, event: Fs.WatchEventType, change: () => void) =>
    Effect.callback<void>((resume) => {
      const watcher = Fs.watch(path, (kind) => kind === event && resume(Effect.void))
      change()
      return Effect.sync(() => watcher.close())
    })

  it.live("completes when a file came, and when it went before one waits", () =>
    Effect.scoped(Effect.gen(function*() {
      const path = yield* folder
      const file = join(path, "ttyUSB0")
      const changed = yield* filesChanged(path)
      const waiting = yield* Effect.forkChild(changed, { startImmediately: true })
      Fs.writeFileSync(file, "")
      yield* Fiber.join(waiting)
      yield* heard(path, "rename", () => Fs.rmSync(file))
      yield* changed
    })))

  it.live("does not wake at every write to a port", () =>
    Effect.scoped(Effect.gen(function*() {
      const path = yield* folder
      const file = join(path, "ttyUSB0")
      Fs.writeFileSync(file, "")
      const waiting = yield* Effect.forkChild(yield* filesChanged(path), { startImmediately: true })
      yield* heard(path, "change", () => Fs.appendFileSync(file, "AT"))
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
    })))

  it.live("is silent where there is nothing to look on", () =>
    Effect.scoped(Effect.gen(function*() {
      const path = yield* folder
      const changed = yield* filesChanged(join(path, "none"))
      assert.isUndefined((yield* Effect.forkChild(changed, { startImmediately: true })).pollUnsafe())
    })))
})

describe("SerialPorts.layer", () => {
  it.live("lists what this machine has, and waits for what it has not until it is interrupted", () =>
    Effect.gen(function*() {
      const { list } = yield* SerialPorts.SerialPorts
      for (const { path } of yield* list) assert.match(path, /^\/dev\/|^COM/)
      const waiting = yield* Effect.forkChild(SerialPorts.wait({ path: "/dev/ttyNONE" }), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      assert.isTrue(Option.isNone(yield* Effect.option(SerialPorts.find({ path: "/dev/ttyNONE" }))))
    }).pipe(Effect.provide(SerialPorts.layer)))
})
